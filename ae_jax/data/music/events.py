"""Melodies as notes, and as a grid of one event class for each sixteenth.

The classes are 0: hold (go on sounding, or being silent), 1: note-off, 2 to 89: the onset of MIDI pitch 21 to 108
(Roberts et al. 2018, "A hierarchical latent vector model", arXiv:1803.05428, appendix A). A grid is canonical where a
note-off stands only where a note sounds. Canonical grids and melodies are in one-to-one correspondence.

Notes are arrays [N, 3] of onset and duration in sixteenths and MIDI pitch (60: middle C), sorted by onset.
"""

import dataclasses
from typing import Any

import numpy as np

HOLD, OFF, FIRST = 0, 1, 2  # FIRST: the class of the lowest pitch
LOWEST, HIGHEST = 21, 108  # the MIDI pitches of a piano's keys
CLASSES = FIRST + HIGHEST - LOWEST + 1
SEMITONES = dict(zip("CDEFGAB", (0, 2, 4, 5, 7, 9, 11)))  # above C
STEPS = 16  # in a bar of 4/4
NEAR = 1e-3  # sixteenths; far above the rounding error of a sum of thirds


@dataclasses.dataclass(frozen=True)
class Melody:
    """Hold one voice through a stretch of one metre.

    Attributes:
        notes: float [N, 3]: onset and duration in sixteenths, MIDI pitch.
        barlines: float [K]: the places of the bar lines in sixteenths.
        bar: sixteenths in a bar by the metre; 0 without a metre.
        end: the length in sixteenths, rests included.
    """

    notes: np.ndarray
    barlines: np.ndarray
    bar: float
    end: float


def monophonic(notes: np.ndarray) -> np.ndarray:
    """Cut each note where the next begins. Of notes that begin together the highest stays.

    Args:
        notes: [N, 3], in any order.

    Returns:
        Notes [M, 3] of the same type, sorted by onset.
    """
    # The last key of lexsort counts most: notes are sorted by onset, and then by pitch.
    notes = notes[np.lexsort((notes[:, 2], notes[:, 0]))]
    following = np.append(notes[1:, 0], np.inf)
    duration = np.minimum(notes[:, 1], following - notes[:, 0]).astype(notes.dtype)
    # A note with a higher one at the same onset has been cut to a duration of 0.
    return np.column_stack([notes[:, 0], duration, notes[:, 2]])[duration > 0]


def rounded(notes: np.ndarray) -> np.ndarray:
    """Round the onsets and ends of notes to sixteenths.

    A note lasts at least a sixteenth.

    Args:
        notes: float [N, 3].
    """
    # Rounding the ends, and not the durations, keeps notes that follow each other without a gap.
    onset = np.rint(notes[:, 0])
    end = np.maximum(np.rint(notes[:, 0] + notes[:, 1]), onset + 1)
    return np.column_stack([onset, end - onset, notes[:, 2]])


def to_events(notes: np.ndarray, steps: int) -> np.ndarray:
    """Return the canonical grid of integer notes. Notes that begin outside of it are left out.

    Args:
        notes: int [N, 3].
        steps: the length of the grid.

    Returns:
        Events, uint8 [steps].
    """
    notes = monophonic(notes[(notes[:, 0] >= 0) & (notes[:, 0] < steps)])
    onset, end = notes[:, 0], notes[:, 0] + notes[:, 1]
    events = np.zeros(steps, np.uint8)
    # Onsets come after note-offs, so that an onset stays where a note ends and the next begins.
    events[end[end < steps]] = OFF
    events[onset] = notes[:, 2] - LOWEST + FIRST
    return events


def to_notes(events: np.ndarray) -> np.ndarray:
    """Return the notes, int [N, 3], of a grid.

    A note sounds until the next onset or note-off, or to the end of the grid.

    Args:
        events: a grid [T].
    """
    change = np.flatnonzero(events != HOLD)
    duration = np.diff(np.append(change, len(events)))
    pitch = events[change].astype(int) - FIRST + LOWEST
    return np.column_stack([change, duration, pitch])[events[change] >= FIRST]


def canonical(events: np.ndarray) -> np.ndarray:
    """Return grids with a hold for every note-off where nothing sounds.

    Args:
        events: grids [..., T].
    """
    # The place of the last event that is no hold, before each step.
    place = np.where(events != HOLD, np.arange(events.shape[-1]), 0)
    before = np.maximum.accumulate(place, axis=-1)[..., :-1]
    sounds = np.take_along_axis(events, before, axis=-1) >= FIRST
    is_silent = np.concatenate([np.ones((*events.shape[:-1], 1), bool), ~sounds], axis=-1)
    return np.where((events == OFF) & is_silent, HOLD, events).astype(events.dtype)


def transposed(events: Any, semitones: Any) -> Any:
    """Return grids moved by semitones, or by as much of that as keeps every note in range.

    Args:
        events: a NumPy or JAX array [..., T].
        semitones: an integer array [..., 1] of the same library.

    Returns:
        Grids [..., T] of the same type.
    """
    classes, is_note = events.astype(int), events > OFF
    highest = classes.max(axis=-1, keepdims=True)
    lowest = (classes + (CLASSES - 1) * ~is_note).min(axis=-1, keepdims=True)  # other events count as high
    shift = semitones.clip(FIRST - lowest, CLASSES - 1 - highest)
    return (classes + is_note * shift).astype(events.dtype)


def divides(length: float, bar: int) -> bool:
    """Tell whether bars of a metre make up bars of `bar` sixteenths.

    They do if they are as long, or half, a quarter or twice as long: 16 sixteenths are a bar of 4/4, two of 2/4, four
    of 1/4 and half a bar of 4/2.
    """
    return length in (bar / 4, bar / 2, bar, 2 * bar)


def windows(melody: Melody, bars: int, bar: int = STEPS) -> tuple[np.ndarray, int]:
    """Cut a melody into windows, one from every bar on.

    Only a metre whose bars make up bars of `bar` sixteenths has windows, see `divides`. A window crosses no incomplete
    bar; where such a bar ends a stretch, silence fills it up. Windows are left out that have no onset, or have a note
    off the grid (such as a triplet) or out of range. Of a note that begins before a window, or ends after it, the
    window has only the onset or the end that lies within.

    Args:
        melody: the melody.
        bars: the length of a window in bars.
        bar: the length of a bar in sixteenths.

    Returns:
        Canonical grids, uint8 [K, bars * bar], and the number of windows with a note off the grid or out of range.
    """
    length = bar * bars
    found, misfits = [np.zeros((0, length), np.uint8)], 0
    # Overlapping windows are views of one grid, and take no memory until some are chosen.
    view = np.lib.stride_tricks.sliding_window_view
    for start, end in _stretches(melody) if divides(melody.bar, bar) else ():
        steps = bar * int(np.ceil((end - start - NEAR) / bar))
        if steps < length:
            continue
        grid, is_misfit = _grid(melody.notes, start, end, steps)
        is_bad = view(is_misfit, length)[::bar].any(axis=1)
        found.append(view(grid, length)[::bar][~is_bad])
        misfits += int(is_bad.sum())
    if len(found) == 1:
        return found[0], 0
    # A window may begin with the note-off of a note that began before it.
    grids = canonical(np.concatenate(found))
    return grids[(grids >= FIRST).any(axis=1)], misfits


def _is_off_grid(times: np.ndarray) -> np.ndarray:
    """Tell which times are no whole numbers."""
    return np.abs(times - np.rint(times)) > NEAR


def _stretches(melody: Melody) -> list[tuple[float, float]]:
    """Return (start, end) of each stretch of complete bars and the incomplete bar after them."""
    lines = melody.barlines[melody.barlines < melody.end - NEAR]
    # Bar lines of one place may differ in their last bits, and `np.unique` would keep them apart.
    lines = np.unique(np.round(np.concatenate([[0], lines, [melody.end]]), 6))
    # A double bar may stand in the midst of a bar whose ends are where they should be.
    before, after = (lines[1:-1] - lines[:-2]) / melody.bar, (lines[2:] - lines[:-2]) / melody.bar
    is_within = _is_off_grid(before) & ~_is_off_grid(after)
    lines = np.delete(lines, 1 + np.flatnonzero(is_within))
    is_incomplete = _is_off_grid(np.diff(lines) / melody.bar)
    is_incomplete[-1:] = True  # the last bar ends the last stretch
    edges = np.append(0, lines[1:][is_incomplete]).tolist()
    return list(zip(edges, edges[1:]))


def _grid(notes: np.ndarray, start: float, end: float, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the grid of the notes that begin from `start` until `end`, and its misfits.

    Returns:
        Events, uint8 [steps], and bool [steps]: the steps with a note that does not fit the grid.
    """
    notes = notes[(notes[:, 0] > start - NEAR) & (notes[:, 0] < end - NEAR)]
    onset = notes[:, 0] - start
    release = np.minimum(notes[:, 0] + notes[:, 1], end) - start
    is_out_of_range = (notes[:, 2] < LOWEST) | (notes[:, 2] > HIGHEST)
    is_bad = _is_off_grid(onset) | _is_off_grid(release) | is_out_of_range
    is_misfit = np.zeros(steps + 1, bool)
    bad_times = np.concatenate([onset[is_bad], release[is_bad]])
    is_misfit[np.maximum(bad_times, 0).astype(int)] = True
    onset, release = np.rint(onset).astype(int), np.rint(release).astype(int)
    whole = np.column_stack([onset, release - onset, notes[:, 2].astype(int)])
    return to_events(whole[~is_bad], steps), is_misfit[:-1]
