"""The files of a folder: their splits and classes, by the names of its subfolders."""

import dataclasses
from collections.abc import Collection
from pathlib import Path

from ae_jax.core.errors import UserError
from ae_jax.data.formats import SPLIT_NAMES


@dataclasses.dataclass(frozen=True)
class Member:
    """A file of a folder.

    Args:
      file: its path.
      split: "train", "validation" or "test"; "train" where the folder has no splits.
      label: the name of its class, which is that of its folder; "" where there are no classes.
    """

    file: Path
    split: str = "train"
    label: str = ""


def members(folder: Path, suffixes: Collection[str], with_splits: bool = True) -> list[Member]:
    """Return the files of a folder with one of these suffixes, sorted by path in each split.

    Subfolders are splits where one of them is called "train", and else classes. Subfolders of splits are classes. Where
    a folder holds such files itself, its subfolders are not looked at.

    Args:
      folder: the folder.
      suffixes: suffixes in lower case.
      with_splits: whether a subfolder may be a split.

    Raises:
      UserError: there is no such file, or files lie beside the splits.
    """
    if here := _files(folder, suffixes):
        return [Member(file) for file in here]
    inner = [each for each in sorted(folder.iterdir()) if each.is_dir() and not each.name.startswith(".")]
    splits = {each: SPLIT_NAMES.get(each.name.lower(), "") for each in inner}
    if with_splits and "train" in splits.values():
        found = _of_splits(folder, splits, suffixes)
    else:
        found = [Member(file, label=each.name) for each in inner for file in _files(each, suffixes)]
    if found:
        return found
    raise UserError(
        f"{folder} holds no image: expected files {', '.join(list(suffixes)[:5])}, ... in it, in one subfolder a "
        "class, or in train/, val/ and test/"
    )


def _of_splits(folder: Path, splits: dict[Path, str], suffixes: Collection[str]) -> list[Member]:
    """Return the files in the subfolders that are splits."""
    by_split: dict[str, list[Member]] = {"train": [], "validation": [], "test": []}
    for each, split in splits.items():
        found = members(each, suffixes, with_splits=False) if _holds_any(each, suffixes) else []
        if found and not split:
            raise UserError(f"{folder} has train/ and also {each.name}/\nexpected only train/, val/ and test/ there")
        if found:
            by_split[split] += [Member(one.file, split, one.label) for one in found]
    labelled = {bool(one.label) for side in by_split.values() for one in side}
    if len(labelled) > 1:
        raise UserError(f"{folder}: some of its splits have a subfolder a class, and some have none\nuse one form")
    return [one for side in by_split.values() for one in side]


def _holds_any(folder: Path, suffixes: Collection[str]) -> bool:
    return bool(_files(folder, suffixes)) or any(_files(each, suffixes) for each in folder.iterdir() if each.is_dir())


def _files(folder: Path, suffixes: Collection[str]) -> list[Path]:
    """Return the files right in a folder, without hidden ones as notebooks leave them."""
    if folder.name.startswith("."):
        return []
    there = (file for file in folder.iterdir() if file.suffix.lower() in suffixes and not file.name.startswith("."))
    return sorted(file for file in there if file.is_file())
