"""Write results as files: images, melodies, arrays and tables, each by an atomic write."""

import csv
import dataclasses
import functools
import io
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from ae_jax.core import cells
from ae_jax.core import files as core_files
from ae_jax.core.errors import RunFailed, UserError
from ae_jax.core.types import DataSpec
from ae_jax.data import layout as layouts
from ae_jax.data.formats.images import SUFFIXES as IMAGES
from ae_jax.data.music import audio, events, midi
from ae_jax.plots import style


@dataclasses.dataclass(frozen=True)
class Form:
    """The way in which values are written.

    Args:
      suffix: ".png" for an image each, ".mid" for a melody each, ".npy" or ".npz" for all in one array, ".csv" for all
        in one table.
      scale: the value of uint8, or above 255 of uint16, that 1 becomes; None for floats.
      sound: whether each melody is also written as sound, ".wav".
      restored: the function from examples [N, *shape] to an array of the shape that the input file has.
      features: the names of the columns of a table.
      bar: of melodies, the number of events in a bar.
    """

    suffix: str
    scale: int | None = None
    sound: bool = False
    restored: Callable[[np.ndarray], np.ndarray] = np.asarray
    features: tuple[str, ...] = ()
    bar: int = events.STEPS


def form_of(spec: DataSpec, layout: str = "") -> Form:
    """Return how examples that come from no file are written, by their kind.

    Args:
      spec: what they look like.
      layout: the axes of an array, as data.layout; "" for channels last.
    """
    if spec.kind == "events":
        return Form(".mid", bar=spec.bar)
    is_image = "pixels" in (spec.kind, spec.unscaled) and len(spec.shape) == 3 and spec.shape[-1] in (1, 3)
    if is_image:
        return Form(".png", 255)
    return Form(".npy", restored=functools.partial(layouts.from_examples, layout=layout)) if layout else Form(".npy")


def numbered(stem: str, count: int) -> list[str]:
    """Return `count` names in alphabetical order: STEM_00, STEM_01, ..."""
    return [f"{stem}_{number:0{len(str(count - 1))}d}" for number in range(count)]


def rendered(values: np.ndarray, names: Sequence[str], stem: str, form: Form) -> dict[str, Any]:
    """Return {file: content} for `write`.

    Args:
      values: [N, *shape], as the model gives them.
      names: the name of each value's file; with or without the suffix of an image.
      stem: the name of the one file, where the form is an array.
      form: how they are written.

    Raises:
      UserError: two names, without their suffixes, are the same.
    """
    # Rounded to the nearest level: a cast alone would darken every image by half a level.
    if form.scale:
        values = np.rint(np.clip(values, 0, 1) * form.scale).astype(np.uint8 if form.scale < 256 else np.uint16)
    if form.suffix == ".npz":
        return {f"{stem}.npz": {"x": form.restored(values)}}
    if form.suffix == ".npy":
        return {f"{stem}.npy": form.restored(values)}
    if form.suffix == ".csv":
        table = [[f"{value:.9g}" for value in row] for row in form.restored(values)]
        return {f"{stem}.csv": [list(form.features), *table] if form.features else table}
    if form.suffix == ".mid":
        melodies = [melody([grid], name, form.sound, form.bar) for name, grid in zip(names, values, strict=True)]
        return {file: content for files in melodies for file, content in files.items()}
    files: dict[str, Any] = {}
    of: dict[str, str] = {}
    for name, value in zip(names, values, strict=True):
        path = PurePosixPath(name)
        bare = str(path.with_suffix("")) if path.suffix.lower() in IMAGES else name
        if bare in of:
            raise UserError(f"{of[bare]!r} and {name!r} would both become {bare}.png\nrename one of them")
        files[f"{bare}.png"], of[bare] = value, name
    return files


def sounding(form: Form, render: bool) -> Form:
    """Add sound to a form where --render wants it. Raise UserError where there are no melodies."""
    if render and form.suffix != ".mid":
        raise UserError(f"--render is for melodies, and these results are {form.suffix}\nleave it out")
    return dataclasses.replace(form, sound=render)


def melody(
    grids: Sequence[np.ndarray] | np.ndarray, name: str, sound: bool = False, bar: int = events.STEPS
) -> dict[str, Any]:
    """Return {file: content} of a melody: NAME.mid, its piano roll NAME.png, and NAME.wav.

    Args:
      grids: grids of events [T], played one after the other.
      name: the name of the files.
      sound: whether NAME.wav is wanted.
      bar: the number of events in a bar.
    """
    # Each grid by itself, so that its last note does not sound on through a silence with which the next grid begins.
    played, steps = [], 0
    for grid in grids:
        played.append(events.to_notes(events.canonical(np.asarray(grid, np.uint8))) + [steps, 0, 0])
        steps += len(grid)
    notes = np.concatenate(played)
    roll = style.styled(lambda rows: style.pixels(style.piano_rolls(rows, bar=bar)))([[grid] for grid in grids])
    files = {f"{name}.mid": midi.to_bytes(notes, steps, bar=bar), f"{name}.png": roll}
    return {**files, **({f"{name}.wav": audio.to_wav(notes, steps)} if sound else {})}


def check_folder(output: str) -> Path:
    """Return the folder for results. Raise UserError where it cannot be made or written."""
    folder = Path(output).expanduser().absolute()
    # Not pathlib's exists, which raises where a folder on the way may not be entered.
    parent = next(each for each in (folder, *folder.parents) if os.path.exists(each))
    if not parent.is_dir() or (parent != folder and folder.suffix.lower() in (*IMAGES, *_WRITERS)):
        raise UserError(
            f"--output={output} is a file\nexpected a folder; results keep the names of what they came from"
        )
    if not os.access(parent, os.W_OK | os.X_OK):
        raise UserError(f"--output={output} cannot be written: no permission in {str(parent)!r}")
    return folder


def write(files: Mapping[str, Any], folder: Path, originals: Sequence[Path] = ()) -> list[Path]:
    """Write files, each by an atomic write, and return their paths.

    Args:
      files: {file: content}: uint8 [H, W, C] for .png, an array for .npy, {name: array} for .npz, rows of cells for
        .csv, bytes for .mid and .wav.
      folder: the folder to write into.
      originals: files that must not be overwritten.

    Raises:
      UserError: a path is an original or lies outside the folder; nothing was written.
      RunFailed: the disk refuses.
    """
    # All names are checked before the first file is written, so that a mistake leaves the folder as it was.
    paths, read = ({name: folder / name for name in files}, {path.resolve() for path in originals})
    for name, path in paths.items():
        parts = PurePosixPath(name).parts
        if path.suffix not in _WRITERS or parts[0] == "/" or ".." in parts or "\0" in name:
            raise UserError(f"a result cannot be named {name!r}\nexpected a file name, inside --output")
        if path.resolve() in read:
            raise UserError(f"{path} would be overwritten, and it is an input\ntry another --output")
    try:
        for name, path in paths.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            with core_files.atomic_write(path) as file:
                _WRITERS[path.suffix](file, files[name])
    except OSError as error:
        raise RunFailed(f"{path} cannot be written: {error}\n{core_files.ELSEWHERE}") from None
    return list(paths.values())


def _write_image(file, image):
    from PIL import Image

    # Pillow takes grey images without the axis of channels.
    Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(file, "PNG")


def _write_table(file, rows):
    # Names of files may hold bytes that are no UTF-8. Python keeps them as surrogates, which are written back as they
    # were.
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows([cells.quote(cell) for cell in row] for row in rows)
    file.write(text.getvalue().encode("utf-8", "surrogateescape"))


_WRITERS = {
    ".png": _write_image,
    ".npy": np.save,
    ".npz": lambda file, arrays: np.savez(file, **arrays),
    ".csv": _write_table,
    ".mid": lambda file, data: file.write(data),
    ".wav": lambda file, data: file.write(data),
}
