"""Readers of a user's own files, one kind of file each: images, arrays and tables.

A reader returns `Found`: arrays as stored, split where the files say so, with labels as they are written there.
"""

import dataclasses
import functools
import sys
from typing import Any

# The names that splits have in files and folders, in lower case: {name: split}.
SPLIT_NAMES = {"train": "train", "training": "train", "test": "test", "testing": "test"}
SPLIT_NAMES |= dict.fromkeys(("val", "valid", "validation", "dev"), "validation")
# The names that labels have in arrays and tables, in lower case, the likeliest first.
LABEL_NAMES = ("label", "labels", "y", "target", "targets", "class", "classes")
# The value of data.label by which labels are left out.
NO_LABEL = "none"


@dataclasses.dataclass(frozen=True)
class Reading:
    """The keys of section data that say how files are read.

    Each is a keyword of `ae_jax.data.sources.files.load`.
    """

    layout: str = ""
    label: str = ""
    array: str = ""
    columns: tuple[str, ...] = ()
    size: tuple[int, int] | None = None
    fit: str = "crop"
    background: str | None = "white"
    skip_unreadable: bool = False


@dataclasses.dataclass(frozen=True)
class Found:
    """The examples in a file or folder.

    Args:
      splits: {"train", "validation"?, "test"?}: {"x": [N, ...], "label"?: [N] or [N, L]}, as stored.
      features: the names of the columns of a table; else empty.
    """

    splits: dict[str, dict[str, Any]]
    features: tuple[str, ...] = ()


@functools.cache
def say_once(text: str) -> None:
    """Print a line about the user's files to standard error, once in a process.

    Data may be opened several times.
    """
    print(text, file=sys.stderr)
