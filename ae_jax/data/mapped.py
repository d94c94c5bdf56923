"""Arrays that may be mapped from a file and be larger than the memory: rows of them, and reading them in pieces."""

from collections.abc import Iterator
from typing import Any

import numpy as np

_PIECE = 2**24  # bytes


class Rows:
    """The rows `numbers` [N] of an array that is mapped from a file; they are read when they are asked for."""

    def __init__(self, array: np.ndarray, numbers: np.ndarray):
        self._array, self._numbers = array, numbers
        self.shape, self.dtype, self.ndim = (len(numbers), *array.shape[1:]), array.dtype, array.ndim
        self.nbytes = len(numbers) * array[:1].nbytes

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, index: Any) -> Any:
        """Return the rows at an index into `numbers`: of a slice again `Rows`, else an array in memory."""
        numbers = self._numbers[index]
        return Rows(self._array, numbers) if isinstance(index, slice) else np.asarray(self._array[numbers])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self._array[self._numbers], dtype)


def rows(array: np.ndarray, numbers: np.ndarray) -> np.ndarray | Rows:
    """Return the rows `numbers` [N] of an array [., ...]; those of one that is mapped from a file stay there."""
    return Rows(array, numbers) if isinstance(array, np.memmap) else array[numbers]


def pieces(array: Any) -> Iterator[np.ndarray]:
    """Yield the rows of an array [N, ...] in order, some megabytes at a time, as arrays in memory."""
    step = max(1, _PIECE // max(array[:1].nbytes, 1))
    for start in range(0, len(array), step):
        yield np.asarray(array[start : start + step])


def extremes(array: Any) -> tuple[float, float]:
    """Return the least and the greatest value of an array [N, ...]; both are NaN where a value is."""
    found = [(np.min(piece), np.max(piece)) for piece in pieces(array)]
    return float(np.min([least for least, _ in found])), float(np.max([greatest for _, greatest in found]))


def mean(array: Any) -> np.ndarray:
    """Return the mean over the rows of an array [N, ...], summed in float64."""
    return sum(piece.sum(axis=0, dtype=np.float64) for piece in pieces(array)) / len(array)
