"""Measure attributes of melodies, and find the latent direction in which an attribute grows.

An attribute is a function (events [N, T]) -> values [N], float. A melody without an onset has the value 0.
"""

import numpy as np

from ae_jax.data.music.events import CLASSES, FIRST, HOLD, STEPS

_BEAT = 4  # sixteenths


def density(events: np.ndarray) -> np.ndarray:
    """Count the onsets in a bar, on average.

    Args:
        events: grids [N, T] of event classes.
    """
    onsets = (events >= FIRST).sum(axis=1)
    return onsets * (STEPS / events.shape[1])


def pitch_range(events: np.ndarray) -> np.ndarray:
    """Return the semitones from the lowest note to the highest.

    Args:
        events: grids [N, T] of event classes.
    """
    is_onset = events >= FIRST
    # Holds and note-offs get a value that no minimum or maximum can choose.
    lowest = np.where(is_onset, events, CLASSES).min(axis=1)
    highest = np.where(is_onset, events, 0).max(axis=1)
    return np.where(is_onset.any(axis=1), highest - lowest, 0).astype(float)


def mean_interval(events: np.ndarray) -> np.ndarray:
    """Return the mean distance from a note to the next, up or down, in semitones.

    Args:
        events: grids [N, T] of event classes.
    """
    values = np.zeros(len(events))
    for place, row in enumerate(events):
        notes = row[row >= FIRST].astype(int)
        if len(notes) > 1:
            values[place] = np.abs(np.diff(notes)).mean()
    return values


def syncopation(events: np.ndarray) -> np.ndarray:
    """Return the share of onsets that stand off the beat and sound on through the next beat.

    After Longuet-Higgins and Lee 1984, "The rhythmic interpretation of monophonic music".

    Args:
        events: grids [N, T] of event classes.
    """
    steps = events.shape[1]
    place = np.arange(steps)
    is_onset = events >= FIRST
    # Where each note ends: at the nearest event behind it that is no hold, or else at the end of the grid.
    changes = np.where(events != HOLD, place, steps)
    nearest = np.minimum.accumulate(changes[:, ::-1], axis=1)[:, ::-1]
    end = np.concatenate([nearest[:, 1:], np.full((len(events), 1), steps)], axis=1)
    next_beat = place // _BEAT * _BEAT + _BEAT
    is_off_beat = (place % _BEAT > 0) & (next_beat < steps)
    is_syncopated = is_onset & is_off_beat & (end > next_beat)
    return is_syncopated.sum(axis=1) / np.maximum(is_onset.sum(axis=1), 1)


def direction(values: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Return the latent direction from melodies with little of an attribute to those with much.

    It is the mean latent of the quarter with the greatest values, less that of the quarter with the least (Roberts et
    al. 2018, arXiv:1803.05428, section 4.3). Where one value fills the whole quarter at one end and reaches into the
    other, as a syncopation of 0 does, the other quarter keeps only melodies with other values, so that the two differ.

    Args:
        values: the attribute, [N].
        codes: the latents, [N, D].

    Returns:
        The direction, [D].
    """
    ordered, quarter = np.sort(values), max(len(values) // 4, 1)
    low, high = ordered[quarter - 1], ordered[-quarter]  # the thresholds of the two quarters
    smallest, greatest = ordered[0], ordered[-1]
    least = values < low if smallest < low == high else values <= low
    most = values > high if low == high < greatest else values >= high
    return codes[most].mean(axis=0) - codes[least].mean(axis=0)
