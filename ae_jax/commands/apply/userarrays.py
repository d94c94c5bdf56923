"""Read the user's examples from an array (.npy, .npz) or a table (.csv, .tsv, .parquet)."""

import dataclasses
import functools
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ae_jax.commands.apply.results import Form
from ae_jax.core.errors import UserError
from ae_jax.core.types import DataSpec
from ae_jax.data import layout as layouts
from ae_jax.data.formats import NO_LABEL, Found, Reading, arrays, tables

SUFFIXES = (".npy", ".npz", *tables.SUFFIXES)
# Noise takes pixels out of [0, 1], but not this far: such floats are of another scale.
_FAR = 10


def read(
    file: Path, spec: DataSpec, shape: tuple[int, ...], resize: bool, reading: Reading
) -> tuple[np.ndarray, Form, np.ndarray | None]:
    """Read the examples in an array or table.

    Args:
      file: the file.
      spec: what the model's data look like.
      shape: the shape of the inputs that the model reads.
      resize: whether images of another size are stretched.
      reading: how the files that the model was trained on are read.

    Returns:
      (x [N, *shape], pixels in [0, 1]; how results for them are written; labels [N] or [N, L] as in the file, if any).

    Raises:
      UserError: the file is damaged, or its examples are of another kind or shape.
    """
    is_table = file.suffix.lower() in tables.SUFFIXES
    found = _read_table(file, spec, reading) if is_table else arrays.read(file, reading)
    stored = [side["x"] for side in found.splits.values()]
    x = stored[0] if len(stored) == 1 else np.concatenate(stored)
    x, restored = arranged(file, np.asarray(x), shape, resize, reading.layout)
    values, scale = _values(file, x, spec)
    values = values if values.shape[1:] == shape else _stretched(values, shape)
    form = Form(".csv" if is_table else file.suffix, None if is_table else scale, False, restored, found.features)
    labels = [np.asarray(side["label"]) for side in found.splits.values() if "label" in side]
    label = np.concatenate(labels) if len(labels) == len(stored) else None
    return values, form, _checked_label(file, label, len(values))


def _read_table(file: Path, spec: DataSpec, reading: Reading) -> Found:
    """Read the columns of a table that were features in training. Its column of labels may be missing."""
    columns, _ = tables.read_columns(file)
    label = reading.label if reading.label in columns else NO_LABEL if reading.label else ""
    return tables.read(file, dataclasses.replace(reading, label=label, columns=spec.features))


def _checked_label(file: Path, label: np.ndarray | None, count: int) -> np.ndarray | None:
    """Return labels [N] or [N, L], those of shape [N, 1] as [N] where they are classes. Raise UserError for others."""
    if label is None:
        return None
    if label.ndim == 2 and label.shape[1] == 1 and label.dtype.kind != "f":
        label = label[:, 0]
    if label.ndim not in (1, 2) or len(label) != count:
        raise UserError(f"{file} holds labels {list(label.shape)}\nexpected [N] classes or [N, L] vectors, N = {count}")
    return label


def arranged(
    file: Path, x: np.ndarray, shape: tuple[int, ...], resize: bool, layout: str
) -> tuple[np.ndarray, Callable[[np.ndarray], np.ndarray]]:
    """Arrange an array as examples [N, *shape].

    It may lack the axis of examples or that of a single channel, be flattened to [N, D], or be in another layout.

    Args:
      file: the file, for errors.
      x: the array.
      shape: the shape of the inputs that the model reads.
      resize: whether images may have another size, which they keep.
      layout: the axes of the array, as data.layout; "" where none is given.

    Returns:
      (the examples; the function from results [M, *shape] to an array in the form of x).

    Raises:
      UserError: the array has another shape.
    """
    layouts.check(layout)
    if layout and len(layout) == x.ndim:
        examples = layouts.to_examples(x, layout)
        if examples.shape[1:] == shape or (resize and _are_images(examples, shape)):
            return examples, functools.partial(layouts.from_examples, layout=layout)
    lacks_channel = len(shape) == 3 and shape[-1] == 1
    shapes = (shape, shape[:-1]) if lacks_channel else (shape,)
    is_flat = x.ndim == 2 and len(shape) > 1 and x.shape[1] == math.prod(shape)
    if x.size and (x.shape in shapes or x.shape[1:] in shapes or is_flat):
        is_single = x.shape in shapes
        ours = x.shape if is_single else x.shape[1:]
        return x.reshape(-1, *shape), functools.partial(_reshaped, ours=ours, shape=shape, is_single=is_single)
    with_channel = x if x.ndim > 2 and x.shape[-1] in (1, 3) else x[..., None]
    could_stretch = with_channel.ndim in (3, 4) and _are_images(with_channel, shape)
    if could_stretch and resize:
        return with_channel.reshape(-1, *with_channel.shape[-3:]), np.asarray
    expected = " or ".join(f"[N, {', '.join(map(str, each))}]" for each in shapes)
    hints = ["--resize"] * could_stretch
    hints += [f"--layout={each}" for each in _fitting_layouts(x, shape)]
    also = f"\ntry {' or '.join(hints)}" if hints else ""
    raise UserError(f"{file} has shape {list(x.shape)}, and this model reads {expected}{also}")


def _are_images(x: np.ndarray, shape: tuple[int, ...]) -> bool:
    """Return whether examples are images that can be stretched to a shape."""
    return len(shape) == 3 and x.size > 0 and x.shape[-1] == shape[-1]


def _fitting_layouts(x: np.ndarray, shape: tuple[int, ...]) -> list[str]:
    """Return the layouts in which an array would have the shape of examples."""
    fitting = [each for each in layouts.LAYOUTS if len(each) == x.ndim]
    return [each for each in fitting if layouts.to_examples(x, each).shape[1:] == shape]


def _reshaped(values: np.ndarray, ours: tuple[int, ...], shape: tuple[int, ...], is_single: bool) -> np.ndarray:
    """Return results [M, *other] in the form of a file whose examples have the shape `ours` and not `shape`."""
    if is_single and len(values) == 1:
        values = values[0]
    start = values.ndim - len(shape)
    if values.shape[start:] == shape:
        return values.reshape(*values.shape[:start], *ours)
    if len(ours) == 1:
        return values.reshape(*values.shape[:start], -1)
    return values[..., 0] if len(ours) < len(shape) and values.shape[-1] == 1 else values


def _stretched(x: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Stretch images, float32 [N, H, W, C], to [N, *shape]; bicubic, within the values of each image."""
    from PIL import Image

    size = (shape[1], shape[0])

    def of_one(plane):
        return np.asarray(Image.fromarray(plane).resize(size, Image.Resampling.BICUBIC))

    planes = np.stack([[of_one(plane) for plane in np.moveaxis(image, -1, 0)] for image in x.astype(np.float32)])
    return np.moveaxis(planes, 1, -1).clip(x.min(axis=(1, 2, 3), keepdims=True), x.max(axis=(1, 2, 3), keepdims=True))


def _values(file: Path, x: np.ndarray, spec: DataSpec) -> tuple[np.ndarray, int | None]:
    """Return (values as `using` takes them, the level that 1 becomes in results) of examples. Raise UserError."""
    kind = spec.unscaled or spec.kind
    if x.dtype.kind not in "buif":
        raise UserError(f"{file} is of {x.dtype}\nexpected numbers")
    if kind == "events":
        if not np.isin(x, np.arange(spec.levels)).all():
            raise UserError(
                f"{file} holds {x.min()} to {x.max()}\nexpected events, whole numbers 0 to {spec.levels - 1}"
            )
        return x.astype(np.float32), None
    if kind == "pixels" and x.dtype.kind in "bu":
        if x.max() >= spec.levels or (spec.levels > 256 and x.dtype != np.uint16):
            raise UserError(
                f"{file} holds {x.max()}, and this model's pixels are 0 to {spec.levels - 1}\n"
                f"expected such values of {np.min_scalar_type(spec.levels - 1)}, or floats in [0, 1]"
            )
        return x.astype(np.float32) / (spec.levels - 1), spec.levels - 1
    if kind == "pixels" and x.dtype.kind == "i":
        raise UserError(f"{file} is of {x.dtype}\nexpected uint8 or floats")
    check_finite(file, x)
    if kind == "pixels" and np.abs(x).max() > _FAR:
        raise UserError(f"{file} holds values from {x.min():g} to {x.max():g}\nexpected uint8, or floats in [0, 1]")
    # A scaling is applied in full precision.
    return x.astype(np.float64 if spec.mean else np.float32), None


def check_finite(file: Path, rows: np.ndarray) -> None:
    """Raise UserError where rows [N, ...] hold NaN or infinity."""
    bad = np.flatnonzero(~np.isfinite(rows).reshape(len(rows), -1).all(axis=1))
    if bad.size:
        raise UserError(f"{file}: {bad.size} of {len(rows)} rows hold NaN or infinity, first number {bad[0]}")
