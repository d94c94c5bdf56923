"""Split tunes so that no held-out window resembles a training window.

Tunes come in variants, and variants come in other keys. A family is a set of tunes that are linked by common windows,
in any key. Whole families are held out. Windows of other families may still differ in a few events only, so training
windows near a held-out one are left out.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from ae_jax.data.music import events
from ae_jax.data.music.events import CLASSES, FIRST
from ae_jax.data.music.tunes import Tune

NEAR = 2  # a training window that differs from a held-out one in at most so many events is left out
_PAIRS = 2**18  # pairs that are compared at once, for the memory


def lowest(grids: np.ndarray) -> np.ndarray:
    """Move grids down to the lowest key, which is the same for all keys of a melody.

    Args:
        grids: [N, T].
    """
    return events.transposed(grids, np.full((len(grids), 1), -CLASSES))


def families(tunes: Sequence[Tune]) -> list[list[Tune]]:
    """Group tunes that are linked by common windows, in any key.

    Returns:
        The families, in a random order that depends on their windows alone.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not tunes:
        return []
    windows = lowest(np.concatenate([tune.grids for tune in tunes]))
    unique, window = np.unique(windows, axis=0, return_inverse=True)
    tune = np.repeat(np.arange(len(tunes)), [len(each.grids) for each in tunes])
    # A graph of tunes and windows: each tune is linked to its windows.
    count = len(tunes) + len(unique)
    links = coo_array((np.ones(len(tune)), (tune, len(tunes) + window.ravel())), shape=(count, count))
    _, family = connected_components(links, directed=False)
    found: dict[int, list[Tune]] = {}
    for number, each in zip(family.tolist(), tunes):
        found.setdefault(number, []).append(each)
    # Hashes of the notes shuffle alike on every machine, whatever the names and the order of the files.
    return [sorted(each, key=_hash_of_tune) for each in sorted(found.values(), key=_hash_of_family)]


def _hash_of_tune(tune: Tune) -> tuple[bytes, int]:
    """Return a hash of a tune's windows, and its label."""
    return hashlib.sha256(tune.grids.tobytes()).digest(), tune.label


def _hash_of_family(tunes: Sequence[Tune]) -> bytes:
    """Return a hash of the windows of a family, each in its lowest key."""
    windows = lowest(np.concatenate([tune.grids for tune in tunes]))
    return hashlib.sha256(np.unique(windows, axis=0).tobytes()).digest()


def split(tunes: Sequence[Tune], share: float, validation: int) -> dict[str, list[Tune]]:
    """Share out whole families of tunes.

    Families of several tunes that are too large for the test or the validation split are trained on.

    Args:
        tunes: the tunes.
        share: the share of the tunes to test on.
        validation: how many windows to hold out for validation; a single tune may exceed it.

    Returns:
        {"train", "validation"?, "test"}.
    """
    taken = {}
    taken["test"], rest = _take(families(tunes), max(round(share * len(tunes)), 1), len)
    if validation:
        taken["validation"], rest = _take(rest, validation, _count_windows)
    taken["train"] = rest
    return {name: [tune for family in taken[name] for tune in family] for name in reversed(taken)}


def _take(
    found: Sequence[list[Tune]], wanted: int, size: Callable[[list[Tune]], int]
) -> tuple[list[list[Tune]], list[list[Tune]]]:
    """Return the first families that together have the size that is wanted, and the others."""
    taken, others, total = [], [], 0
    for family in found:
        missing = wanted - total
        # A single tune may be too large, or else a split could stay empty where all tunes are long.
        fits = len(family) == 1 or size(family) <= missing
        if missing > 0 and fits:
            taken.append(family)
            total += size(family)
        else:
            others.append(family)
    return taken, others


def _count_windows(tunes: Sequence[Tune]) -> int:
    """Count the different windows of a family."""
    return len(np.unique(np.concatenate([tune.grids for tune in tunes]), axis=0))


def near(grids: np.ndarray, held: np.ndarray, most: int = NEAR) -> np.ndarray:
    """Tell which grids differ from a held-out one in at most `most` events, in any key.

    Two grids that differ in at most `most` of their steps are equal in one of most + 1 disjoint parts. So only grids
    that have such a part in common, in any key, are compared.

    Args:
        grids: [N, T].
        held: [M, T].
        most: the greatest number of events.

    Returns:
        bool [N].
    """
    ours, place = np.unique(lowest(grids), axis=0, return_inverse=True)
    theirs = np.unique(lowest(held), axis=0)
    is_near = np.zeros(len(ours), bool)
    for steps in np.array_split(np.arange(grids.shape[1]), most + 1):
        candidates = np.flatnonzero(~is_near)
        for mine, other in _pairs(lowest(ours[candidates][:, steps]), lowest(theirs[:, steps])):
            a, b = ours[candidates[mine]], theirs[other]
            is_near[candidates[mine[_distance(a, b, most) <= most]]] = True
    return is_near[place.ravel()]


def _pairs(ours: np.ndarray, theirs: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield all pairs of equal rows, some at a time.

    Each piece is (numbers of rows of `ours`, numbers of rows of `theirs`).
    """
    _, value = np.unique(np.concatenate([ours, theirs]), axis=0, return_inverse=True)
    mine, other = value.ravel()[: len(ours)], value.ravel()[len(ours) :]
    order = np.argsort(other, kind="stable")
    begin = np.searchsorted(other, mine, "left", sorter=order)
    counts = np.searchsorted(other, mine, "right", sorter=order) - begin
    start = 0
    while start < len(ours):
        # One row is taken at least, even if it has more pairs than fit. Otherwise the loop would not end.
        stop = start + max(int(np.searchsorted(np.cumsum(counts[start:]), _PAIRS, "right")), 1)
        each = np.repeat(np.arange(start, stop), counts[start:stop])
        # The number of a pair among those of its row.
        number = np.arange(len(each)) - np.repeat(
            np.cumsum(counts[start:stop]) - counts[start:stop], counts[start:stop]
        )
        yield each, order[begin[each] + number]
        start = stop


def _distance(a: np.ndarray, b: np.ndarray, most: int) -> np.ndarray:
    """Count the events in which grids differ in the key in which they differ least.

    The count is exact up to `most`. If at most `most` events differ, then one of the first most + 1 common onsets is
    the same in the best key, so that its interval tells the key.

    Args:
        a: grids [P, T].
        b: grids [P, T].
        most: the greatest number that must be exact. Greater ones may be too large.

    Returns:
        Counts [P].
    """
    # Differences of uint8 would wrap around.
    interval = a.astype(np.int16) - b
    is_common = (a >= FIRST) & (b >= FIRST)
    others = ((interval != 0) & ~is_common).sum(axis=1)
    first = np.argsort(~is_common, axis=1, kind="stable")[:, : most + 1]
    keys = np.take_along_axis(interval, first, axis=1)
    moved = [(is_common & (interval != key[:, None])).sum(axis=1) for key in keys.T]
    return others + np.min(moved, axis=0)
