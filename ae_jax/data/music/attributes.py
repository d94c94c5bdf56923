"""What can be said of a melody in one number, and the direction in which codes have more of it.

An attribute is a function (events [N, T]) -> values [N], float; a melody without an onset has 0 of all of them.
"""

import numpy as np

from ae_jax.data.music.events import CLASSES, FIRST, HOLD, STEPS

_BEAT = 4  # sixteenths


def density(events: np.ndarray) -> np.ndarray:
    """Onsets a bar."""
    return (events >= FIRST).sum(axis=1) * (STEPS / events.shape[1])


def pitch_range(events: np.ndarray) -> np.ndarray:
    """Semitones from the lowest note to the highest."""
    is_onset = events >= FIRST
    low, high = (np.where(is_onset, events, CLASSES).min(axis=1), np.where(is_onset, events, 0).max(axis=1))
    return np.where(is_onset.any(axis=1), high - low, 0).astype(float)


def mean_interval(events: np.ndarray) -> np.ndarray:
    """Semitones from a note to the next, up or down, on average."""
    onsets = [row[row >= FIRST].astype(int) for row in events]
    return np.array([np.abs(np.diff(row)).mean() if len(row) > 1 else 0.0 for row in onsets])


def syncopation(events: np.ndarray) -> np.ndarray:
    """Share of the onsets that stand off the beat and sound on through the next one (after Longuet-Higgins and Lee
    1984, "The rhythmic interpretation of monophonic music").
    """
    steps = events.shape[1]
    place, is_onset = np.arange(steps), events >= FIRST
    changes = np.where(events != HOLD, place, steps)
    following = np.minimum.accumulate(changes[:, ::-1], axis=1)[:, ::-1]
    after = np.concatenate([following[:, 1:], np.full((len(events), 1), steps)], axis=1)
    beat = place // _BEAT * _BEAT + _BEAT
    through = is_onset & (place % _BEAT > 0)[None] & (after > beat[None]) & (beat < steps)[None]
    return through.sum(axis=1) / np.maximum(is_onset.sum(axis=1), 1)


def direction(values: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """[D]: the mean of the codes [N, D] of the quarter with the greatest values [N], less that of the quarter with the
    least (Roberts et al. 2018, arXiv:1803.05428, section 4.3).

    A value that fills both quarters, as no syncopation does, is in none that has others: a direction from some of the
    melodies without it to as many, a few with it among them, would hardly be one.
    """
    ordered, quarter = np.sort(values), max(len(values) // 4, 1)
    low, high = ordered[quarter - 1], ordered[-quarter]
    least = values < low if ordered[0] < low == high else values <= low
    most = values > high if low == high < ordered[-1] else values >= high
    return codes[most].mean(axis=0) - codes[least].mean(axis=0)
