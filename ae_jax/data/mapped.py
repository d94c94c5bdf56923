"""Rows of arrays that are mapped from files, and are read when they are asked for."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

PIECE = 2**24  # bytes that are read at a time


@dataclasses.dataclass(frozen=True)
class Survey:
    """The findings of one pass over an array.

    Args:
      least: the least value; NaN where a value is NaN.
      greatest: the greatest value; NaN where a value is NaN.
      bad: the number of rows with a value that is not finite.
      first_bad: the number of the first such row; -1 where there is none.
    """

    least: float
    greatest: float
    bad: int = 0
    first_bad: int = -1


class Rows:
    """Rows of one array after another, all of them mapped from files.

    Floats of any precision are read as float32.

    An index gives an array in memory. A slice gives `Rows` again.
    """

    def __init__(
        self,
        arrays: Sequence[np.ndarray],
        numbers: np.ndarray | None = None,
        survey: Survey | None = None,
        read: Callable[[Any], np.ndarray] | None = None,
    ):
        """Choose rows; nothing is read.

        Args:
          arrays: arrays [., ...] of one shape and type but for the number of rows.
          numbers: which rows, counted through all arrays; [N] integers. By default all rows in order.
          survey: what a pass over all rows of the arrays found, where there was one.
          read: the function from stored rows to rows in memory: `as_read` by default. One that is given returns
            float32.
        """
        total = sum(len(array) for array in arrays)
        # A file of short rows has so many that eight bytes a number would fill the memory, too.
        smallest = np.min_scalar_type(total)
        self._arrays, self.survey, self._as_read = tuple(arrays), survey, read or as_read
        self._numbers = np.arange(total, dtype=smallest) if numbers is None else numbers.astype(smallest, copy=False)
        is_float = read is not None or np.issubdtype(arrays[0].dtype, np.floating)
        self.dtype = np.dtype(np.float32) if is_float else arrays[0].dtype
        self.shape = (len(self._numbers), *arrays[0].shape[1:])
        self.ndim = len(self.shape)
        self.size = int(np.prod(self.shape, dtype=np.int64))
        self.nbytes = self.size * self.dtype.itemsize

    def _replace(self, numbers: np.ndarray | None = None, **changes: Any) -> "Rows":
        """Return other rows of the same arrays, or the same rows read otherwise."""
        read = None if self._as_read is as_read else self._as_read
        options = {"survey": self.survey, "read": read, **changes}
        return Rows(self._arrays, self._numbers if numbers is None else numbers, **options)

    def __len__(self) -> int:
        """Return N, the number of rows."""
        return len(self._numbers)

    def __getitem__(self, index: Any) -> Any:
        """Return the rows at an index: of a slice again `Rows`, else an array in memory."""
        numbers = self._numbers[index]
        return self._replace(numbers) if isinstance(index, slice) else self._read(np.asarray(numbers), self._as_read)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Read all rows."""
        return np.asarray(self._read(self._numbers, self._as_read), dtype)

    def stored(self, index: Any) -> np.ndarray:
        """Return the rows at an index in memory, in the precision of the file."""
        return self._read(np.asarray(self._numbers[index]), np.asarray)

    def _read(self, numbers: np.ndarray, read: Callable[[Any], np.ndarray]) -> np.ndarray:
        if len(self._arrays) == 1:
            return read(self._arrays[0][numbers])
        dtype = self._arrays[0].dtype if read is np.asarray else self.dtype
        found, start = np.empty((*numbers.shape, *self.shape[1:]), dtype), 0
        # The rows may be asked for in any order, so each array fills the places of its own.
        for array in self._arrays:
            here = (numbers >= start) & (numbers < start + len(array))
            found[here] = read(array[numbers[here] - start])
            start += len(array)
        return found

    def only(self, numbers: np.ndarray) -> "Rows":
        """Return some of these rows; nothing is read.

        Args:
          numbers: int [M], the places of the rows among these.
        """
        return self._replace(self._numbers[numbers])

    def read_by(self, read: Callable[[Any], np.ndarray], survey: Survey | None = None) -> "Rows":
        """Return these rows, read by another function; nothing is read yet.

        Args:
          read: the function from stored rows [M, ...] to float32 [M, ...].
          survey: what a pass over the rows found, as `read` gives them.
        """
        return self._replace(survey=survey, read=read)

    def followed_by(self, other: "Rows") -> "Rows":
        """Return these rows and then those of `other`, which are read by the same function.

        Nothing is read.
        """
        mine, theirs, survey = self.survey, other.survey, None
        if mine and theirs:
            survey = Survey(min(mine.least, theirs.least), max(mine.greatest, theirs.greatest))
        # Splits of the same files are joined by their numbers alone, so that no array is held twice.
        if list(map(id, self._arrays)) == list(map(id, other._arrays)):
            return self._replace(np.concatenate([self._numbers, other._numbers]), survey=survey)
        total = sum(len(array) for array in self._arrays)
        # The numbers are stored in the smallest type that holds them, in which the sum could overflow.
        numbers = np.concatenate([self._numbers, other._numbers.astype(np.int64) + total])
        read = None if self._as_read is as_read else self._as_read
        return Rows((*self._arrays, *other._arrays), numbers, survey, read)

    @property
    def file_bytes(self) -> int:
        """The size of the largest of the arrays, of which these may be few rows."""
        return max(array.nbytes for array in self._arrays)


def as_read(values: Any) -> np.ndarray:
    """Return values that were read from a file, in memory, floats as float32.

    Too large ones become infinite.
    """
    if not np.issubdtype(values.dtype, np.floating):
        return np.asarray(values)
    with np.errstate(over="ignore"):
        return np.asarray(values, np.float32)


def as_float32(array: Any) -> Any:
    """Return reals as float32.

    Nothing is read or copied where they are float32 already or mapped from a file.
    """
    return array if isinstance(array, Rows | np.memmap) else as_read(array)


def rows(array: Any, numbers: np.ndarray) -> Any:
    """Return some rows of an array. Nothing is read of one that is mapped from a file.

    Args:
      array: [., ...], in memory, mapped, or `Rows`.
      numbers: int [N], the numbers of the rows.
    """
    if isinstance(array, np.memmap):
        array = Rows([array])
    return array.only(numbers) if isinstance(array, Rows) else array[numbers]


def concatenated(arrays: Sequence[Any]) -> Any:
    """Join arrays [., ...] along their rows.

    Nothing is read where all of them are mapped from files.
    """
    if not all(isinstance(array, (np.memmap, Rows)) for array in arrays):
        return np.concatenate([np.asarray(array) for array in arrays])
    first, *others = (array if isinstance(array, Rows) else Rows([array]) for array in arrays)
    for other in others:
        first = first.followed_by(other)
    return first


def file_bytes(array: Any) -> int:
    """Return the bytes of the file that an array is mapped from; 0 for an array in memory."""
    if isinstance(array, Rows):
        return array.file_bytes
    return array.nbytes if isinstance(array, np.memmap) else 0


def pieces(array: Any, stored: bool = False) -> Iterator[np.ndarray]:
    """Yield the rows of an array [N, ...] in order, some megabytes at a time.

    Args:
      array: the array.
      stored: whether rows that are mapped from a file keep the precision that they have there.
    """
    step = max(1, PIECE // max(array[:1].nbytes, 1))
    for start in range(0, len(array), step):
        part = slice(start, start + step)
        is_mapped = isinstance(array, Rows)
        yield array.stored(part) if stored and is_mapped else np.asarray(array[part])


def survey(array: Any) -> Survey:
    """Return the range of an array [N, ...] and its rows that are not finite, in one pass."""
    least, greatest, bad, first_bad, start = np.inf, -np.inf, 0, -1, 0
    for piece in map(as_read, pieces(array)):
        low, high = piece.min(), piece.max()
        # NumPy's minimum and maximum pass NaN on, and Python's min and max may lose it.
        least, greatest = np.minimum(least, low), np.maximum(greatest, high)
        if not (np.isfinite(low) and np.isfinite(high)):
            found = np.flatnonzero(~np.isfinite(piece).reshape(len(piece), -1).all(axis=1))
            first_bad = start + int(found[0]) if first_bad < 0 else first_bad
            bad += len(found)
        start += len(piece)
    return Survey(float(least), float(greatest), bad, first_bad)


def bounds(array: Any) -> tuple[float, float] | None:
    """Return two numbers between which all values of an array are, without reading it.

    None where nothing is known.
    """
    if isinstance(array, Rows) and array.survey:
        return array.survey.least, array.survey.greatest
    if np.issubdtype(array.dtype, np.integer):
        return np.iinfo(array.dtype).min, np.iinfo(array.dtype).max
    return None


def extremes(array: Any) -> tuple[float, float]:
    """Return the least and the greatest value of an array [N, ...].

    Both are NaN where a value is.
    """
    found = survey(array)
    return found.least, found.greatest


def are_whole(array: Any) -> bool:
    """Return whether all values of an array [N, ...] are whole numbers."""
    return array.dtype.kind in "biu" or all((piece == np.rint(piece)).all() for piece in pieces(array))


def mean(array: Any) -> np.ndarray:
    """Return the mean over the rows of an array [N, ...], summed in float64."""
    return sum(piece.sum(axis=0, dtype=np.float64) for piece in pieces(array)) / len(array)


def extremes_by_feature(array: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the least and the greatest of each number of the last axis, float64 [C] each."""
    least, greatest = np.inf, -np.inf
    for piece in pieces(array, stored=True):
        axes = tuple(range(piece.ndim - 1))
        least, greatest = np.minimum(least, piece.min(axis=axes)), np.maximum(greatest, piece.max(axis=axes))
    return np.asarray(least, np.float64), np.asarray(greatest, np.float64)


def moments_by_feature(array: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of each number of the last axis, float64 [C] each."""
    count = np.prod(array.shape[:-1])
    axes = tuple(range(array.ndim - 1))
    mean = sum(piece.sum(axis=axes, dtype=np.float64) for piece in pieces(array, stored=True)) / count
    # The squares are of centred values: those of the values themselves would cancel at a large mean.
    squares = sum(np.square(piece - mean).sum(axis=axes) for piece in pieces(array, stored=True))
    return mean, np.sqrt(squares / count)


def scaled(array: Any, scaling: Any) -> Any:
    """Return examples as a `ae_jax.data.scaling.Scaling` gives them.

    Nothing is read of what is mapped from files.
    """
    if isinstance(array, np.memmap):
        array = Rows([array])
    return array.read_by(scaling.scaled) if isinstance(array, Rows) else scaling.scaled(array)
