"""Arrays in .npy and .npz files, under the names that people give them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ae_jax.core import errors
from ae_jax.core.errors import UserError
from ae_jax.data.formats import LABEL_NAMES, NO_LABEL, SPLIT_NAMES, Found, Reading

# The names that examples have in an .npz, in lower case and without the name of a split, the likeliest first.
EXAMPLE_NAMES = ("x", "images", "image", "data", "features", "inputs", "arr_0")


def read(file: Path, reading: Reading) -> Found:
    """Read the array of an .npy, memory-mapped, or the examples and labels of an .npz.

    Args:
      file: the file.
      reading: of which array and label are read: names in the file, with or without the name of a split.

    Raises:
      UserError: the file is damaged, or has no such arrays.
    """
    try:
        with np.errstate(over="ignore"):
            stored = np.load(file, mmap_mode="r")
            if isinstance(stored, np.ndarray):
                return Found({"train": {"x": stored}})
            with stored:
                return Found(_read_named(file, stored, reading))
    except errors.DAMAGED as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{file} cannot be read as {file.suffix}: {errors.first_line(error)}") from None


def _read_named(file: Path, stored: Any, reading: Reading) -> dict[str, dict[str, np.ndarray]]:
    """Return {split: {"x", "label"?}} of an .npz."""
    examples, labels = choose(file, stored.files, reading.array, reading.label)
    splits = {split: {"x": stored[name]} for split, name in examples.items()}
    for split, name in labels.items():
        if split in splits:
            splits[split]["label"] = stored[name]
    return splits


def choose(file: Path, names: list[str], array: str = "", label: str = "") -> tuple[dict[str, str], dict[str, str]]:
    """Return which arrays of a file are the examples and the labels of each split.

    Args:
      file: the file, for errors.
      names: the names of its arrays, such as x_train, train_images or y.
      array: the name of the examples; "" for the likeliest.
      label: the name of the labels; "" for the likeliest, "none" for no labels.

    Returns:
      ({split: name of its examples}, {split: name of its labels}).

    Raises:
      UserError: there are no such arrays.
    """
    by_stem: dict[str, dict[str, str]] = {}
    for name in names:
        stem, split = _parts(name)
        by_stem.setdefault(stem, {}).setdefault(split, name)
    examples = _first(by_stem, array, EXAMPLE_NAMES)
    if not examples and not array and len(names) == 1:
        examples = {"train": names[0]}
    if "train" not in examples:
        raise UserError(
            f"{file} holds {', '.join(names) or 'nothing'}; expected x, x_train, images, data, arr_0 or the like\n"
            "name the array of examples: --config.data.array=NAME"
        )
    if label == NO_LABEL:
        return examples, {}
    labels = _first(by_stem, label, LABEL_NAMES)
    if label and "train" not in labels:
        raise UserError(f"{file} holds {', '.join(names)}, and no {label!r}\nset --config.data.label to one of them")
    return examples, labels if "train" in labels else {}


def _parts(name: str) -> tuple[str, str]:
    """Return (name without that of a split, split) of an array: x_train -> ("x", "train")."""
    words = name.lower().split("_")
    splits = [SPLIT_NAMES[word] for word in words if word in SPLIT_NAMES]
    stem = "_".join(word for word in words if word not in SPLIT_NAMES)
    return (stem, splits[0]) if splits and stem else (name.lower(), "train")


def _first(by_stem: Mapping[str, dict[str, str]], wanted: str, usual: tuple[str, ...]) -> dict[str, str]:
    """Return {split: name} of the array that is wanted, or else of the first usual one."""
    if wanted:
        return by_stem.get(_parts(wanted)[0], {})
    return next((by_stem[name] for name in usual if "train" in by_stem.get(name, {})), {})
