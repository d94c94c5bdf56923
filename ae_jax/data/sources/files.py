"""The user's own examples: arrays, tables or a folder of images.

Where the user names no test examples, a share is drawn from the whole by a fixed permutation: files are often sorted by
class, and their end would be a single one. Both sides keep the order of the file. Neighbours that overlap, such as
windows of one recording, are split by time; see `ae_jax.data.formats.windows`.

An .npy stays memory-mapped: it is read once to check it, and from then on the examples of a batch are read when the
batch is made.
"""

import contextlib
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ae_jax.core.errors import UserError
from ae_jax.core.types import FORMAT, DataSpec
from ae_jax.data import cached, labels, layout, mapped
from ae_jax.data.formats import Found, Reading, arrays, folders, images, tables, windows

_EXPECTED = "a .npy, .npz, .csv, .tsv or .parquet, or a folder of images"


def load(
    path: str = "",
    split: str = "",
    cache: str = "",
    whole: bool = False,
    format_number: int = FORMAT,
    validation: float = 0,
    *,
    size: int | tuple[int, ...] | None = None,
    layout: str = "",
    label: str = "",
    array: str = "",
    columns: tuple[str, ...] = (),
    fit: str = "crop",
    background: str = "white",
    skip_unreadable: bool = False,
    window: int = 0,
    stride: int = 0,
) -> tuple[DataSpec, dict]:
    """Read the user's own examples, and hold out a test split where they have none.

    Of several processes one reads a folder or file, and all map its arrays from the cache.

    Args:
      path: one of
        a .npy, an array whose axes `layout` describes: uint8, uint16 and bool are pixels, and other numbers are reals;
        a .npz with such an array under a usual name, such as x, x_train, train_images, X, data, images or arr_0, and
        with labels under one, such as label, y_train or target; arrays named x_test or val_images are splits;
        a .csv, .tsv or .parquet, an example a row;
        a folder of images of any format. Subfolders are classes, or the splits train, val and test.
      split: the share that is held out as the test split; 0.1 by default.
      cache: the folder of the cache; ~/.cache/ae_jax by default, or ae_jax in $XDG_CACHE_HOME.
      whole: whether to return all examples, in the order of the file, as one split "all".
      format_number: the rules by which the run reads its data, see `ae_jax.core.types.FORMAT`.
      validation: the wanted number of validation windows, or their share; read with `window` alone.
      size: height and width to which images are brought at reading, or one number for both.
      layout: the axes of arrays: NHWC, NCHW, NHW, NTC, NCT, NF or NDHWC; by default by their number, see
        docs/your-data.md.
      label: the array or the column of labels; "none" reads none.
      array: the array of examples in an .npz.
      columns: the columns of a table that are features; by default all but the label.
      fit: "crop" cuts off what is beyond the sides of `size`, "pad" fills up with the background.
      background: the colour on which transparent images are put.
      skip_unreadable: whether to leave out images that cannot be read, and count them.
      window: the length of the windows that long series are cut into; 0 leaves them whole.
      stride: the steps from one window to the next; by default the length of a window.

    Returns:
      The DataSpec, and {"train", "validation"?, "test"} or {"all"}: {"x": [N, *shape], "label"?: [N] or [N, L]}.

    Raises:
      UserError: there is no such file, it is damaged, or it holds something else; the message names it.
    """
    file = Path(path).expanduser()
    if not path or not file.exists():
        raise UserError(f"data.path must name {_EXPECTED}; {path!r} does not exist")
    reading = Reading(
        layout=layout,
        label=label,
        array=array,
        columns=tuple(columns),
        size=pair(size),
        fit=fit,
        background=background if format_number > 4 else None,  # older runs were trained on images without transparency
        skip_unreadable=skip_unreadable,
    )
    _check_together(file, reading, window, stride)

    def read():
        found = read_files(file, reading, with_splits=format_number > 4)
        if window:
            found = _cut(file, found, reading, window, stride, split, validation, whole)
            axes = "NTC" if next(iter(found.splits.values()))["x"].ndim == 3 else "NF"
            return _finished(file, found, "", cache, whole, dataclasses.replace(reading, layout=axes), format_number)
        return _finished(file, found, split, cache, whole, reading, format_number)

    if file.suffix == ".npy" and file.is_file() and not window:
        return read()

    def home():
        members = folders.members(file, images.SUFFIXES) if file.is_dir() else []
        stamps = cached.stamps([member.file for member in members] or [file])
        options = [*dataclasses.asdict(reading).values(), window, stride, validation * bool(window), format_number]
        return cached.folder(cache, "files", [file.name, "all" if whole else split, stamps, options])

    return cached.shared(home, read)


def pair(size: int | tuple[int, ...] | None) -> tuple[int, int] | None:
    """Return data.size as (height, width). Raise UserError for more or fewer than two numbers."""
    if size is None:
        return None
    pair = (size, size) if isinstance(size, int) else tuple(size)
    if len(pair) != 2:
        raise UserError(f"data.size={','.join(map(str, pair))}\nexpected HEIGHT,WIDTH, or one number for both")
    return pair


def _check_together(file: Path, reading: Reading, window: int, stride: int) -> None:
    """Raise UserError for keys that are for files of another kind."""
    if reading.size and not file.is_dir():
        raise UserError(f"data.size is for folders of images, and data.path is {str(file)!r}\nset it to None")
    if (window or stride) and file.is_dir():
        raise UserError(f"data.window is for series, and {str(file)!r} is a folder of images\nleave it out")
    if stride and not window:
        raise UserError(f"data.stride={stride} without data.window\nset the length of a window too")


def read_files(file: Path, reading: Reading, with_splits: bool = True) -> Found:
    """Read a file or folder by its kind. Raise UserError where it is of none."""
    if file.is_dir():
        return images.read_folder(file, reading, with_splits)
    suffix = file.suffix.lower()
    if suffix in tables.SUFFIXES:
        return tables.read(file, reading)
    if suffix in (".npy", ".npz"):
        return arrays.read(file, reading)
    if suffix in images.SUFFIXES:
        raise UserError(f"data.path is one image, {file}\nexpected {_EXPECTED}")
    raise UserError(f"data.path must name {_EXPECTED}; got {file}")


def _cut(file: Path, found: Found, reading: Reading, window, stride, split, validation, whole) -> Found:
    """Return windows in place of the series that were found.

    Raise UserError where these have splits of their own.
    """
    if len(found.splits) > 1 or reading.layout not in ("", "NTC"):
        raise UserError(f"data.window is for one array [T], [T, C] or [N, T, C]; {file} holds another\nleave it out")
    parts = windows.cut(found.splits["train"]["x"], window, stride, _share(split or "0.1"), validation, whole)
    return Found({name: {"x": x} for name, x in parts.items()}, found.features)


def _finished(
    file: Path, found: Found, split, cache, whole, reading: Reading, format_number: int
) -> tuple[DataSpec, dict]:
    """Check what was found, number its classes, and hold out a test split."""
    sides, surveys, is_image = {}, [], file.is_dir()
    for name, stored in found.splits.items():
        called = f"x of the {name} split" if len(found.splits) > 1 else "x"
        axes = "NHWC" if is_image else _axes(stored["x"], reading, f"{file}: {called}", name in ("train", "all"))
        x, survey = _examples(file, called, stored["x"], axes, cache)
        sides[name] = {**stored, "x": x}
        surveys.append(survey)
    _check_alike(file, sides)
    fields = _number_labels(str(file), sides, format_number)
    if "test" in sides:
        if split and not whole:
            raise UserError(f"{file} has a test split of its own; data.split={split!r} must be left out")
    elif "all" not in sides:
        train = sides.pop("train")
        sides = {"all": train} if whole and not sides else {**_hold_out(train, split or "0.1"), **sides}
    x = next(iter(sides.values()))["x"]
    spec = DataSpec(x.shape[1:], "reals", features=found.features, **fields)
    if x.dtype in (np.uint8, np.uint16):
        # Black and white is often stored as 0 and 1.
        most = 2 if max(survey.greatest for survey in surveys) <= 1 else np.iinfo(x.dtype).max + 1
        spec = dataclasses.replace(spec, kind="pixels", levels=most)
    return spec, sides


def _axes(x: Any, reading: Reading, name: str, is_first: bool) -> str:
    """Return the layout of an array, and say once how it is read where that is not plain."""
    axes = layout.of(x, reading.layout, name)
    if not reading.layout and is_first:
        layout.say_how_read(x, name)
    return axes


def _check_alike(file: Path, sides: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise UserError where two splits differ in shape or type, or only one has labels."""
    kinds = {name: (side["x"].shape[1:], side["x"].dtype, "label" in side) for name, side in sides.items()}
    if len(set(kinds.values())) > 1:
        raise UserError(f"{file}: the splits {', '.join(kinds)} differ in shape or dtype, or not all have labels")


def _number_labels(name: str, sides: dict[str, dict[str, Any]], format_number: int) -> dict[str, Any]:
    """Replace the labels of all splits by numbers.

    Return the fields of a DataSpec that say what they are.
    """
    stored = {split: side["label"] for split, side in sides.items() if "label" in side}
    if not stored:
        return {}
    found, fields = labels.read(stored, {split: len(side["x"]) for split, side in sides.items()}, name)
    is_number = all(np.asarray(values).dtype.kind in "iu" and np.ndim(values) == 1 for values in stored.values())
    if format_number < 5 and is_number:
        # Runs that were begun under older rules have a class for every number from 0 on.
        found = {split: np.asarray(values).astype(np.int32) for split, values in stored.items()}
        fields = {"classes": max(int(values.max()) for values in found.values()) + 1}
    for split, values in found.items():
        sides[split]["label"] = values
    return fields


def _examples(file: Path, name: str, x: Any, axes: str, cache: str) -> tuple[Any, mapped.Survey]:
    """Check examples of any supported type.

    Return them with channels last, and what a pass over them found.

    Numbers in memory that are not pixels keep their precision, for `ae_jax.data.scaling`.
    """
    if x.dtype.kind not in "buif" or x.size == 0:
        raise UserError(f"{file}: {name} is {x.dtype} of shape {list(x.shape)}\nexpected numbers, and at least one")
    stored, x = x, layout.to_examples(x, axes)
    if x.dtype == bool:
        x = x.view(np.uint8)
    is_whole = x.dtype.kind in "ui" and x.dtype not in (np.uint8, np.uint16)
    if isinstance(stored, np.memmap):
        survey = _survey_of_file(file, x, cache)
        x = mapped.Rows([x], survey=survey)
        x = x.read_by(_as_float32, survey) if is_whole else x
    else:
        x = x.astype(np.float64) if is_whole else np.asarray(x)
        survey = mapped.survey(x)
    if survey.bad:
        raise UserError(
            f"{file}: {survey.bad} of {len(x)} examples in {name} hold NaN or infinity, first number {survey.first_bad}"
        )
    return x, survey


def _as_float32(values: np.ndarray) -> np.ndarray:
    return np.asarray(values, np.float32)


def _survey_of_file(file: Path, x: np.ndarray, cache: str) -> mapped.Survey:
    """Return what a pass over the array in a file finds.

    A large one is read once, and again when it has changed.
    """
    if x.nbytes <= mapped.PIECE:
        return mapped.survey(x)
    return mapped.Survey(**cached.remembered(cache, file, lambda: dataclasses.asdict(mapped.survey(x))))


def _share(split: str) -> float:
    """Return the share that data.split names; 0 for a text that is no positive number."""
    with contextlib.suppress(ValueError, OverflowError):
        return float(split) if 0 < float(split) < 1 else 0.0
    return 0.0


def _hold_out(side: dict[str, Any], share: str) -> dict[str, dict[str, Any]]:
    """Cut a share of the examples off as the test split.

    Raise UserError where one of both would be empty.
    """
    count = len(side["x"])
    held = max(round(_share(share) * count), 1) if _share(share) else 0
    if not 0 < held < count:
        raise UserError(f"data.split={share!r} of {count} examples leaves one side empty; expected a share such as 0.1")
    test = np.zeros(count, bool)
    # RandomState draws the same numbers in every version of NumPy.
    test[np.random.RandomState(0).permutation(count)[:held]] = True
    numbers = {"train": np.flatnonzero(~test), "test": np.flatnonzero(test)}
    return {name: {key: mapped.rows(values, these) for key, values in side.items()} for name, these in numbers.items()}
