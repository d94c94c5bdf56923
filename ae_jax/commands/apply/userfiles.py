"""Read the user's own examples.

They are a folder of PNG or JPEG images, one such image, a .npy, or an .npz with `x` and optionally `label`; for a model
of melodies also a MIDI file, or a folder of them.
"""

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ae_jax.commands.apply import usermelodies
from ae_jax.commands.apply.results import Form, form_of, numbered
from ae_jax.core import errors
from ae_jax.core.errors import RunFailed, UserError
from ae_jax.core.types import DataSpec
from ae_jax.data.music import midi
from ae_jax.data.sources.files import IMAGES, find_images, read_images

# Noise takes pixels out of [0, 1], but not this far: such floats are of another scale.
_FAR = 10


@dataclasses.dataclass(frozen=True)
class Examples:
    """The examples that were read, in the order of the file or of the names.

    Args:
      inputs: [N, *shape] float32, as a model reads them.
      names: N names: an image's path in its folder, or the stem of an array's file and a number.
      stem: the name of the folder or file, without suffix.
      form: how results for these examples are written.
      label: [N] classes or [N, L] vectors, as in the file.
      originals: the files.
      unreadable: a line for each file that could not be read, or not all of it.
    """

    inputs: np.ndarray
    names: list[str]
    stem: str
    form: Form
    label: np.ndarray | None = None
    originals: tuple[Path, ...] = ()
    unreadable: tuple[str, ...] = ()


def read_examples(
    path: str,
    spec: DataSpec,
    shape: tuple[int, ...],
    resize: bool = False,
    limit: int | None = None,
    voice: int = -1,
    start_bar: int = 0,
    beat_file: str = "",
) -> Examples:
    """Read the examples in a folder or file.

    Images are values / 255. Arrays of uint8 are levels of `spec`, and arrays of floats are taken as they are.

    Args:
      path: the folder or file.
      spec: what the model's data look like.
      shape: the shape of the inputs that the model reads.
      resize: whether images of another size, arrays of them too, are stretched (bicubic), and files in colour are made
        grey for a model of grey images.
      limit: how many of the first examples are read; all of them by default.
      voice: the voice of a MIDI file, counted from 0; -1 for the only melodic one.
      start_bar: the first bar of a MIDI file that is read, counted from 1 as if all were as long as those of the model.
        With 0 a melody is cut into as many examples as it takes, from its first bar on.
      beat_file: the name of a file beside a MIDI file with its beats, see `ae_jax.data.music.beats`. Files without it
        are read as they are.

    Raises:
      UserError: the examples are of another size or kind.
      RunFailed: nothing in a folder can be read.
    """
    file = Path(path).expanduser()
    # Not pathlib's exists, which raises where a folder on the way may not be entered.
    if not os.path.exists(file):
        raise UserError(f"--input: {path!r} does not exist")
    if voice < -1:
        raise UserError(f"--track={voice}\nexpected a track from 0 on, or -1 for the only melodic one")
    if start_bar < 0:
        raise UserError(f"--start_bar={start_bar}\nexpected a bar from 1 on, or 0 for all")
    if spec.kind == "events" and (file.is_dir() or file.suffix.lower() in midi.SUFFIXES):
        return _read_melodies(file, spec, limit, voice, start_bar, beat_file)
    if voice >= 0 or start_bar:
        raise UserError(f"--track and --start_bar are for MIDI files, and --input is {path!r}\nleave them out")
    if form_of(spec).suffix == ".png" and (file.is_dir() or file.suffix.lower() in IMAGES):
        return _read_images(file, shape, resize, limit)
    if file.suffix not in (".npy", ".npz"):
        readable = (*{".mid": midi.SUFFIXES, ".png": IMAGES}.get(form_of(spec).suffix, ()), ".npy")
        raise UserError(
            f"--input: {path!r} is none of what this model reads: {shape} of {spec.kind}\n"
            f"expected {', '.join(readable)} or .npz"
        )
    stored = load_arrays(file, "x", "label")
    x, form = _values(file, _arranged(file, stored["x"], shape, resize), spec)
    x = x if x.shape[1:] == shape else _stretched(x, shape)
    label = label_of(file, stored, len(x))
    label = None if label is None else label[:limit]
    return Examples(x[:limit], numbered(file.stem, len(x[:limit])), file.stem, form, label, (file,))


def label_of(file: Path, stored: Mapping[str, np.ndarray], count: int) -> np.ndarray | None:
    """Return the labels of a file's examples, [N] or [N, L]; None where it holds none.

    Args:
      file: the file.
      stored: its arrays by name.
      count: N, how many examples it holds.

    Raises:
      UserError: the labels have another shape.
    """
    label = stored.get("label")
    if label is not None and (label.ndim not in (1, 2) or len(label) != count):
        raise UserError(f"{file} holds labels {list(label.shape)}\nexpected [N] classes or [N, L] vectors, N = {count}")
    return label


def _read_images(source: Path, shape: tuple[int, ...], resize: bool, limit: int | None) -> Examples:
    """Read an image or a folder of images. Images that cannot be read are left out and named."""
    files = find_images(source)[:limit] if source.is_dir() else [source]
    folder = source if source.is_dir() else source.parent
    images, originals, unreadable = [], [], []
    for file in files:
        try:
            image = read_images([file])[0]
        except UserError as error:
            unreadable.append(str(error))
            continue
        images.append(_fitted(image, file, shape, resize))
        originals.append(file)
    if not images:
        raise RunFailed("\n".join(unreadable))
    names = [file.relative_to(folder).as_posix() for file in originals]
    stem = source.resolve().name if source.is_dir() else source.stem
    inputs = np.stack(images).astype(np.float32) / 255
    return Examples(inputs, names, stem, Form(".png", 255), None, tuple(originals), tuple(unreadable))


def _read_melodies(
    source: Path, spec: DataSpec, limit: int | None, voice: int, start_bar: int, beat_file: str
) -> Examples:
    """Read a MIDI file or a folder of them, and cut the melodies into windows."""
    found, files, unreadable = usermelodies.read(source, spec, voice, start_bar, beat_file)
    stem = source.resolve().name if source.is_dir() else source.stem
    inputs = np.asarray(list(found.values())[:limit], np.float32)
    return Examples(inputs, list(found)[:limit], stem, form_of(spec), None, tuple(files), tuple(unreadable))


def _fitted(image: np.ndarray, file: Path, shape: tuple[int, ...], resize: bool) -> np.ndarray:
    """Return an image, uint8 [H, W, 1 or 3], in the model's shape, or raise UserError."""
    (height, width, channels), found = image.shape, f"{image.shape[1]}x{image.shape[0]}"
    if resize and image.shape != shape:
        from PIL import Image

        whole = Image.fromarray(image[..., 0] if channels == 1 else image).convert("L" if shape[-1] == 1 else "RGB")
        return np.asarray(whole.resize((shape[1], shape[0]), Image.Resampling.BICUBIC)).reshape(shape)
    if (height, width) != shape[:2]:
        raise UserError(f"{file} is {found}, and this model reads images of {shape[1]}x{shape[0]}\ntry --resize")
    if channels > shape[-1]:
        raise UserError(f"{file} is in colour, and this model reads grey images\ntry --resize, which makes it grey")
    # A grey image has the same value in each channel of a coloured one.
    return np.broadcast_to(image, shape)


def _arranged(file: Path, x: np.ndarray, shape: tuple[int, ...], resize: bool) -> np.ndarray:
    """Return an array as [N, *shape].

    It may lack the axis of examples, or that of a single channel. With `resize` images keep their size.
    """
    shapes = (shape, shape[:-1]) if len(shape) == 3 and shape[-1] == 1 else (shape,)
    if x.size and (x.shape in shapes or x.shape[1:] in shapes):
        return x.reshape(-1, *shape)
    with_channel = x if x.ndim > 2 and x.shape[-1] in (1, 3) else x[..., None]
    are_images = len(shape) == 3 and x.size and with_channel.ndim in (3, 4) and with_channel.shape[-1] == shape[-1]
    if are_images and resize:
        return with_channel.reshape(-1, *with_channel.shape[-3:])
    expected = " or ".join(f"[N, {', '.join(map(str, each))}]" for each in shapes)
    also = "\ntry --resize" if are_images else ""
    raise UserError(f"{file} has shape {list(x.shape)}, and this model reads {expected}{also}")


def _stretched(x: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Stretch images, float32 [N, H, W, C], to [N, *shape] by bicubic interpolation."""
    from PIL import Image

    size = (shape[1], shape[0])

    def of_one(plane):
        return np.asarray(Image.fromarray(plane).resize(size, Image.Resampling.BICUBIC))

    # Pillow resizes floats one channel at a time. Bicubic interpolation overshoots at edges, so the result is clipped.
    planes = np.stack([[of_one(plane) for plane in np.moveaxis(image, -1, 0)] for image in x])
    return np.moveaxis(planes, 1, -1).clip(x.min(axis=(1, 2, 3), keepdims=True), x.max(axis=(1, 2, 3), keepdims=True))


def _values(file: Path, x: np.ndarray, spec: DataSpec) -> tuple[np.ndarray, Form]:
    """Return (float32 [N, ...], form of the results) for examples, or raise UserError."""
    if x.dtype == np.uint8 and spec.kind == "pixels":
        if x.max() >= spec.levels:
            raise UserError(
                f"{file} holds {x.max()}, and this model's pixels are 0 to {spec.levels - 1}\n"
                "expected such values, or floats in [0, 1]"
            )
        return x.astype(np.float32) / (spec.levels - 1), Form(file.suffix, spec.levels - 1)
    if spec.kind == "events":
        if not np.isin(x, np.arange(spec.levels)).all():
            raise UserError(
                f"{file} holds {x.min()} to {x.max()}\nexpected events, whole numbers 0 to {spec.levels - 1}"
            )
        return x.astype(np.float32), Form(file.suffix)
    if not np.issubdtype(x.dtype, np.floating):
        also = "uint8 or " if spec.kind == "pixels" else ""
        raise UserError(f"{file} is of {x.dtype}\nexpected {also}floats")
    check_finite(file, x)
    if spec.kind == "pixels" and np.abs(x).max() > _FAR:
        raise UserError(f"{file} holds values from {x.min():g} to {x.max():g}\nexpected uint8, or floats in [0, 1]")
    return x.astype(np.float32), Form(file.suffix)


def check_finite(file: Path, rows: np.ndarray) -> None:
    """Raise UserError where rows hold NaN or infinity.

    Args:
      file: the file that they are of.
      rows: [N, ...].
    """
    bad = np.flatnonzero(~np.isfinite(rows).reshape(len(rows), -1).all(axis=1))
    if bad.size:
        raise UserError(f"{file}: {bad.size} of {len(rows)} rows hold NaN or infinity, first number {bad[0]}")


def load_arrays(file: Path, main: str, *others: str) -> dict[str, np.ndarray]:
    """Return arrays of a .npy or .npz.

    Args:
      file: the file.
      main: the name of the array that must be there; that of a .npy has no name.
      *others: the names of arrays that an .npz may hold beside it.

    Raises:
      UserError: the file is damaged, or has no such array.
    """
    try:
        stored = np.load(file)
        if isinstance(stored, np.ndarray):
            return {main: stored}
        with stored:
            arrays = {name: stored[name] for name in (main, *others) if name in stored}
    except errors.DAMAGED as error:
        raise UserError(f"{file} cannot be read as {file.suffix}: {error}") from None
    if main not in arrays:
        raise UserError(f"{file} holds {', '.join(stored.files) or 'nothing'}\nexpected an array named {main}")
    return arrays
