"""Labels of a user's own: classes become 0 to K-1, and vectors of floats stay vectors."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ae_jax.core.errors import UserError

# More classes than this are no classes: they number the examples, or measure something.
MOST_CLASSES = 1000
# So few examples may each be of a class of their own.
_FEW = 10


def read(stored: Mapping[str, Any], counts: Mapping[str, int], name: str) -> tuple[dict[str, np.ndarray], dict]:
    """Return the labels of all splits as numbers, with the fields of a DataSpec for them.

    Classes are integers, booleans or texts, [N] or [N, 1], or one-hot integers [N, K]. They are numbered in sorted
    order over all splits. Floats are vectors, [N, L] or [N].

    Args:
      stored: {split: labels as stored}.
      counts: {split: the number of its examples}.
      name: the file or folder, for errors.

    Returns:
      ({split: int32 [N] or float32 [N, L]}, {"classes", "names"} or {"label_dim"}).

    Raises:
      UserError: the labels are of another kind or number, or there are too many classes.
    """
    arrays = {split: _checked(np.asarray(values), counts[split], name) for split, values in stored.items()}
    first = next(iter(arrays.values()))
    if any(values.dtype.kind != first.dtype.kind or values.ndim != first.ndim for values in arrays.values()):
        raise UserError(f"{name}: the labels of its splits differ in type\nexpected one type in all splits")
    if first.dtype.kind == "f":
        widths = {values.shape[1] for values in arrays.values()}
        if len(widths) > 1:
            raise UserError(f"{name}: the labels of its splits have lengths {sorted(widths)}\nexpected one length")
        return {split: values.astype(np.float32) for split, values in arrays.items()}, {"label_dim": first.shape[1]}
    # A class may be absent from one split, and its number must be the same in all of them.
    found = np.unique(np.concatenate(list(arrays.values())))
    total = sum(counts[split] for split in arrays)
    if len(found) > MOST_CLASSES or (len(found) == total and total > _FEW):
        raise UserError(
            f"{name} has {len(found)} classes for {total} examples\n"
            f"expected at most {MOST_CLASSES}, and fewer than examples; leave labels out with --config.data.label=none"
        )
    numbered = {split: np.searchsorted(found, values).astype(np.int32) for split, values in arrays.items()}
    names = tuple(map(str, found.tolist()))
    is_plain = names == tuple(map(str, range(len(found))))
    return numbered, {"classes": len(found), "names": () if is_plain else names}


def _checked(label: np.ndarray, count: int, name: str) -> np.ndarray:
    """Return labels as classes [N], integers or texts, or as vectors [N, L] of floats."""
    if label.dtype.kind == "O" and all(isinstance(each, str) for each in label.flat):
        label = label.astype(str)
    if label.ndim == 2 and label.shape[1] == 1 and label.dtype.kind in "biuUS":
        label = label[:, 0]
    if label.dtype.kind == "S":
        label = np.char.decode(label, "utf-8", "replace")
    kind = label.dtype.kind
    if len(label.shape) and len(label) == count:
        if kind in "biuU" and label.ndim == 1:
            # As integers, booleans get the names "0" and "1", by which `_text` looks them up.
            return label.astype(np.int64) if kind == "b" else label
        if kind in "biu" and label.ndim == 2 and _is_one_hot(label):
            return label.argmax(axis=1)
        if kind == "f" and label.ndim in (1, 2) and label.size and np.isfinite(label).all():
            return label.reshape(count, -1)
    raise UserError(
        f"{name}: labels are {label.dtype} of shape {list(label.shape)}\n"
        f"expected {count} integers or texts (classes), one-hot integers, or {count} vectors of finite floats"
    )


def _is_one_hot(label: np.ndarray) -> bool:
    """Return whether each row [K] of integers has a single 1 among zeros."""
    return bool(np.isin(label, (0, 1)).all() and (label.sum(axis=1) == 1).all())


def numbers_of(names: Sequence[str], label: Any) -> np.ndarray:
    """Return the numbers of classes that are given by name, or -1 where there is no such class.

    Args:
      names: the names of all classes; the texts "0", "1", ... where classes have no names.
      label: [N] names or numbers. A number stands for the class of that name, as in the labels that were read; or for
        the place of a class, where no name is a number.
    """
    places = {name: place for place, name in enumerate(names)}
    if not any(name.lstrip("-").isdecimal() for name in names):
        places |= {str(place): place for place in range(len(names))}
    texts = (_text(each) for each in np.atleast_1d(label).tolist())
    return np.array([places.get(text, -1) for text in texts], np.int32)


def _text(label: object) -> str:
    """Return a label as text: True is 1, as in `read`."""
    return str(int(label)) if isinstance(label, bool) else str(label)


def renumbered(label: np.ndarray, names: Sequence[str], into: Sequence[str]) -> np.ndarray | None:
    """Return classes of one list of names as numbers of another list.

    The result is None where that list lacks a class which is used.

    Args:
      label: int [N]; -1, of an example without a label, stays.
      names: the name of each class.
      into: the names in the other list.
    """
    used = np.unique(label[label >= 0])
    found = numbers_of(into, [names[each] for each in used])
    if (found < 0).any():
        return None
    # The table has at least one entry, because the last line also looks up the -1 of unknown labels.
    table = np.full(max(len(names), 1), -1, np.int32)
    table[used] = found
    return np.where(label < 0, -1, table[label]).astype(np.int32)
