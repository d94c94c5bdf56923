"""Melodies as notes, and as a grid of one event class a sixteenth.

The classes are 0: hold (go on sounding, or being silent), 1: note-off, 2 .. 89: the onset of MIDI pitch 21 .. 108
(Roberts et al. 2018, "A hierarchical latent vector model", arXiv:1803.05428, appendix A). A grid is canonical where a
note-off stands only where a note sounds; canonical grids and melodies are in one-to-one correspondence.

Notes are arrays [N, 3] of onset and duration in sixteenths and MIDI pitch (60: middle C), sorted by onset.
"""

import dataclasses
from typing import Any

import numpy as np

HOLD, OFF, FIRST = 0, 1, 2  # FIRST: the class of the lowest pitch
LOWEST, HIGHEST = 21, 108  # a piano's keys
CLASSES = FIRST + HIGHEST - LOWEST + 1
SEMITONES = dict(zip("CDEFGAB", (0, 2, 4, 5, 7, 9, 11)))  # above C
STEPS = 16  # in a bar of 4/4
_BARS = tuple(STEPS * factor for factor in (1 / 4, 1 / 2, 1, 2))  # 1/4, 2/4, 4/4 and 4/2, and their like
_NEAR = 1e-3  # sixteenths; sums of thirds of them are exact to far less


@dataclasses.dataclass(frozen=True)
class Melody:
    """One voice through a stretch of one metre."""

    notes: np.ndarray  # [N, 3] float: onset and duration in sixteenths, MIDI pitch
    barlines: np.ndarray  # [K] float: where bar lines stand, in sixteenths
    bar: float  # sixteenths in a bar by the metre; 0 where there is no metre
    end: float  # length in sixteenths, rests included


def monophonic(notes: np.ndarray) -> np.ndarray:
    """The notes, each cut where the next begins; of notes that begin together the highest stays."""
    notes = notes[np.lexsort((notes[:, 2], notes[:, 0]))]
    following = np.append(notes[1:, 0], np.inf)
    duration = np.minimum(notes[:, 1], following - notes[:, 0]).astype(notes.dtype)
    return np.column_stack([notes[:, 0], duration, notes[:, 2]])[duration > 0]


def to_events(notes: np.ndarray, steps: int) -> np.ndarray:
    """The canonical grid [steps] uint8 of integer notes [N, 3]; what lies outside of it is left out."""
    notes = monophonic(notes[(notes[:, 0] >= 0) & (notes[:, 0] < steps)])
    onset, end = notes[:, 0], notes[:, 0] + notes[:, 1]
    events = np.zeros(steps, np.uint8)
    events[end[end < steps]] = OFF
    events[onset] = notes[:, 2] - LOWEST + FIRST
    return events


def to_notes(events: np.ndarray) -> np.ndarray:
    """The notes [N, 3] int of a grid [T]; the last one sounds to the end of it, if no note-off comes first."""
    change = np.flatnonzero(events != HOLD)
    duration = np.diff(np.append(change, len(events)))
    pitch = events[change].astype(int) - FIRST + LOWEST
    return np.column_stack([change, duration, pitch])[events[change] >= FIRST]


def canonical(events: np.ndarray) -> np.ndarray:
    """Grids [..., T] with a hold for every note-off where nothing sounds."""
    place = np.where(events != HOLD, np.arange(events.shape[-1]), 0)
    before = np.maximum.accumulate(place, axis=-1)[..., :-1]
    sounds = np.take_along_axis(events, before, axis=-1) >= FIRST
    silent = np.concatenate([np.ones((*events.shape[:-1], 1), bool), ~sounds], axis=-1)
    return np.where((events == OFF) & silent, HOLD, events).astype(events.dtype)


def transposed(events: Any, semitones: Any) -> Any:
    """Grids [..., T] moved by `semitones` [..., 1], or by as much of that as keeps every note in range.

    Takes NumPy's and JAX's arrays alike.
    """
    classes, is_note = events.astype(int), events > OFF
    up = CLASSES - 1 - classes.max(axis=-1, keepdims=True)
    down = FIRST - (classes + (CLASSES - 1) * ~is_note).min(axis=-1, keepdims=True)
    return (classes + is_note * semitones.clip(down, up)).astype(events.dtype)


def windows(melody: Melody, bars: int) -> tuple[np.ndarray, int]:
    """(canonical grids [K, 16 bars] uint8, how many more there are that do not fit the grid).

    Windows begin every 16 steps; only metres whose bar is that of 4/4, or half, a quarter or twice as long, have them.
    They cross no incomplete bar, but where one ends a stretch, silence fills it up. Left out are those with a note off
    the grid, such as a triplet, or out of range, and those without an onset. Of a note that sounds before, or goes on
    after, only what lies between begins and ends here.
    """
    length, found, misfits = STEPS * bars, [np.zeros((0, STEPS * bars), np.uint8)], 0
    view = np.lib.stride_tricks.sliding_window_view
    for start, end in _stretches(melody) if melody.bar in _BARS else ():
        steps = STEPS * int(np.ceil((end - start - _NEAR) / STEPS))
        if steps >= length:
            grid, misfit = _grid(melody.notes, start, end, steps)
            bad = view(misfit, length)[::STEPS].any(axis=1)
            found.append(view(grid, length)[::STEPS][~bad])
            misfits += int(bad.sum())
    if len(found) == 1:
        return found[0], 0
    grids = canonical(np.concatenate(found))
    return grids[(grids >= FIRST).any(axis=1)], misfits


def _off_grid(times: np.ndarray) -> np.ndarray:
    return np.abs(times - np.rint(times)) > _NEAR


def _stretches(melody: Melody) -> list[tuple[float, float]]:
    """(start, end) of the stretches of complete bars, each with the incomplete one that ends it."""
    lines = melody.barlines[melody.barlines < melody.end - _NEAR]
    lines = np.unique(np.round(np.concatenate([[0], lines, [melody.end]]), 6))
    # A double bar may stand in the midst of a bar whose ends are where they should be.
    within = _off_grid((lines[1:-1] - lines[:-2]) / melody.bar) & ~_off_grid((lines[2:] - lines[:-2]) / melody.bar)
    lines = np.delete(lines, 1 + np.flatnonzero(within))
    incomplete = _off_grid(np.diff(lines) / melody.bar)
    incomplete[-1:] = True
    edges = np.append(0, lines[1:][incomplete]).tolist()
    return list(zip(edges, edges[1:]))


def _grid(notes: np.ndarray, start: float, end: float, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """(events [steps] of the notes that begin from `start` until `end`, [steps] bool: where some do not fit)."""
    notes = notes[(notes[:, 0] > start - _NEAR) & (notes[:, 0] < end - _NEAR)]
    onset, release = notes[:, 0] - start, np.minimum(notes[:, 0] + notes[:, 1], end) - start
    bad = _off_grid(onset) | _off_grid(release) | (notes[:, 2] < LOWEST) | (notes[:, 2] > HIGHEST)
    misfit = np.zeros(steps + 1, bool)
    misfit[np.maximum(np.concatenate([onset[bad], release[bad]]), 0).astype(int)] = True
    onset, release = np.rint(onset).astype(int), np.rint(release).astype(int)
    whole = np.column_stack([onset, release - onset, notes[:, 2].astype(int)])
    return to_events(whole[~bad], steps), misfit[:-1]
