"""Read the user's own examples.

They are a folder of images, one image, an array (.npy, .npz) or a table (.csv, .tsv, .parquet); for a model of melodies
also a MIDI file, or a folder of them.
"""

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ae_jax.commands.apply import userarrays, usermelodies
from ae_jax.commands.apply.results import Form, form_of, numbered
from ae_jax.core import errors
from ae_jax.core.errors import RunFailed, UserError
from ae_jax.core.types import DataSpec
from ae_jax.data.batching import evenly
from ae_jax.data.formats import Reading, folders, images
from ae_jax.data.music import midi


@dataclasses.dataclass(frozen=True)
class Wanted:
    """The examples that a model reads, and how files are read for it.

    Args:
      spec: what the model's data look like.
      shape: the shape of the inputs that the model reads.
      resize: whether images of another size, arrays of them too, are stretched (bicubic), and files in colour are made
        grey for a model of grey images.
      limit: how many of the examples are read, evenly over them; all of them by default.
      reading: how the files that the model was trained on are read.
    """

    spec: DataSpec
    shape: tuple[int, ...]
    resize: bool = False
    limit: int | None = None
    reading: Reading = Reading()


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


def read_examples(path: str, wanted: Wanted, voice: int = -1, start_bar: int = 0, beat_file: str = "") -> Examples:
    """Read the examples in a folder or file.

    Images become values in [0, 1]. Arrays of unsigned integers are levels of pixels, and other arrays are taken as they
    are.

    Args:
      path: the folder or file.
      wanted: what the model reads.
      voice: the voice of a MIDI file, counted from 0; -1 for the only melodic one.
      start_bar: the first bar of a MIDI file that is read, counted from 1 as if all were as long as those of the model.
        With 0 a melody is cut into as many examples as it takes, from its first bar on.
      beat_file: the name of a file beside a MIDI file with its beats, see `ae_jax.data.music.beats`. Files without it
        are read as they are.

    Raises:
      UserError: the examples are of another size or kind.
      RunFailed: nothing in a folder can be read.
    """
    file, spec = Path(path).expanduser(), wanted.spec
    # Not pathlib's exists, which raises where a folder on the way may not be entered.
    if not os.path.exists(file):
        raise UserError(f"--input: {path!r} does not exist")
    if voice < -1:
        raise UserError(f"--track={voice}\nexpected a track from 0 on, or -1 for the only melodic one")
    if start_bar < 0:
        raise UserError(f"--start_bar={start_bar}\nexpected a bar from 1 on, or 0 for all")
    if spec.kind == "events" and (file.is_dir() or file.suffix.lower() in midi.SUFFIXES):
        return _read_melodies(file, wanted, voice, start_bar, beat_file)
    if voice >= 0 or start_bar:
        raise UserError(f"--track and --start_bar are for MIDI files, and --input is {path!r}\nleave them out")
    reads_images = spec.kind in ("pixels", "reals") and len(wanted.shape) == 3 and wanted.shape[-1] in (1, 3)
    if reads_images and (file.is_dir() or file.suffix.lower() in images.SUFFIXES):
        return _read_images(file, wanted)
    if file.suffix.lower() not in userarrays.SUFFIXES:
        readable = (*{".mid": midi.SUFFIXES, ".png": images.SUFFIXES[:3]}.get(form_of(spec).suffix, ()), ".npy")
        readable += (".csv",) if spec.kind == "reals" else ()
        raise UserError(
            f"--input: {path!r} is none of what this model reads: {wanted.shape} of {spec.kind}\n"
            f"expected {', '.join(readable)} or .npz"
        )
    x, form, label = userarrays.read(file, spec, wanted.shape, wanted.resize, wanted.reading)
    chosen, names = _chosen(len(x), wanted.limit), numbered(file.stem, len(x))
    label = None if label is None else label[chosen]
    return Examples(x[chosen], [names[number] for number in chosen], file.stem, form, label, (file,))


def _chosen(count: int, limit: int | None) -> np.ndarray:
    """Return the numbers of at most `limit` of `count` examples, at even distances."""
    return evenly(min(limit or count, count), count)


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


def _read_images(source: Path, wanted: Wanted) -> Examples:
    """Read an image or a folder of images. Images that cannot be read are left out and named."""
    members = folders.members(source, images.SUFFIXES) if source.is_dir() else [folders.Member(source)]
    members = [members[number] for number in _chosen(len(members), wanted.limit)]
    folder = source if source.is_dir() else source.parent
    found: list[np.ndarray] = []
    kept: list[folders.Member] = []
    unreadable: list[str] = []
    transparent = 0
    for member in members:
        try:
            image, is_transparent = images.read_one(member.file, wanted.reading)
        except UserError as error:
            unreadable.append(str(error))
            continue
        found.append(_fitted(image, member.file, wanted))
        kept.append(member)
        transparent += is_transparent
    if not found:
        raise RunFailed("\n".join(unreadable))
    images.say_transparent(str(folder), transparent, wanted.reading)
    names = [member.file.relative_to(folder).as_posix() for member in kept]
    stem = source.resolve().name if source.is_dir() else source.stem
    label = np.array([member.label for member in kept]) if kept[0].label else None
    originals = tuple(member.file for member in kept)
    form = form_of(wanted.spec, wanted.reading.layout)
    return Examples(np.stack(found), names, stem, form, label, originals, tuple(unreadable))


def _read_melodies(source: Path, wanted: Wanted, voice: int, start_bar: int, beat_file: str) -> Examples:
    """Read a MIDI file or a folder of them, and cut its melodies into windows."""
    found, files, unreadable = usermelodies.read(source, wanted.spec, voice, start_bar, beat_file)
    stem = source.resolve().name if source.is_dir() else source.stem
    chosen, names = _chosen(len(found), wanted.limit), list(found)
    inputs = np.asarray(list(found.values()), np.float32)[chosen]
    kept = [names[number] for number in chosen]
    return Examples(inputs, kept, stem, form_of(wanted.spec), None, tuple(files), tuple(unreadable))


def _fitted(image: np.ndarray, file: Path, wanted: Wanted) -> np.ndarray:
    """Return an image [H, W, 1 or 3] in the model's shape, pixels in [0, 1]. Raise UserError for another size."""
    shape = wanted.shape
    (height, width, channels), found = image.shape, f"{image.shape[1]}x{image.shape[0]}"
    if wanted.resize and image.shape != shape and image.dtype == np.uint8:
        from PIL import Image

        whole = Image.fromarray(image[..., 0] if channels == 1 else image).convert("L" if shape[-1] == 1 else "RGB")
        image = np.asarray(whole.resize((shape[1], shape[0]), Image.Resampling.BICUBIC)).reshape(shape)
        (height, width, channels) = shape
    if (height, width) != shape[:2]:
        raise UserError(f"{file} is {found}, and this model reads images of {shape[1]}x{shape[0]}\ntry --resize")
    if channels > shape[-1]:
        raise UserError(f"{file} is in colour, and this model reads grey images\ntry --resize, which makes it grey")
    greatest = np.iinfo(image.dtype).max if image.dtype.kind == "u" else 1
    return np.broadcast_to(image, shape).astype(np.float32) / greatest


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
