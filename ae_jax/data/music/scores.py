"""How near grids of events come to others, and what needs no model to be that near.

Scores take grids [N, T] and answer {name: [N]}, a number an example; means and their errors are the caller's.
"""

import numpy as np

from ae_jax.data.music.events import CLASSES, FIRST, HOLD


def scores(found: np.ndarray, truth: np.ndarray) -> dict[str, np.ndarray]:
    """What of the grid `truth` the grid `found` has: {name: [N]}, each from 0 to 1.

    accuracy                 share of steps with the same event; two thirds of all events are holds
    note_f1                  F1 of notes: an onset of the same pitch at the same step
    onset_f1                 F1 of onsets, whatever their pitch
    onset_pitch_accuracy     share of the onsets that both have whose pitch is the same; NaN where they have none

    F1 is the harmonic mean of precision and recall, 2 |both| / (|found| + |truth|), and 1 where neither has a note.
    """
    is_found, is_true = found >= FIRST, truth >= FIRST
    onsets, same = is_found & is_true, found == truth
    both, notes, total = onsets.sum(axis=1), (onsets & same).sum(axis=1), is_found.sum(axis=1) + is_true.sum(axis=1)
    with np.errstate(invalid="ignore"):
        return {
            "accuracy": same.mean(axis=1),
            "note_f1": np.where(total > 0, 2 * notes / total, 1.0),
            "onset_f1": np.where(total > 0, 2 * both / total, 1.0),
            "onset_pitch_accuracy": notes / both,
        }


def baselines(train: np.ndarray, truth: np.ndarray) -> dict[str, np.ndarray]:
    """{name: grids [N, T]}: what four rules that know the grids `train` [M, T] answer for `truth` [N, T].

    always_hold    no onset at all
    most_likely    the most frequent event of each position
    markov         the most frequent event after the one before, which is taken from `truth`
    eighth_notes   the most frequent pitch at every other step
    """
    constant = lambda grid: np.broadcast_to(grid, truth.shape)
    steps = truth.shape[1]
    most_likely = np.array([np.bincount(column).argmax() for column in train.T])
    pitch = FIRST + np.bincount(train[train >= FIRST], minlength=FIRST + 1)[FIRST:].argmax()
    following = log_transitions(train).argmax(axis=1)
    return {
        "always_hold": constant(np.full(steps, HOLD)),
        "most_likely": constant(most_likely),
        "markov": np.column_stack([np.full(len(truth), most_likely[0]), following[truth[:, :-1]]]),
        "eighth_notes": constant(np.where(np.arange(steps) % 2, HOLD, pitch)),
    }


def log_transitions(train: np.ndarray) -> np.ndarray:
    """log p(event | the event before) [CLASSES, CLASSES] of the grids [M, T], each pair counted once too often."""
    pairs = train[:, :-1].astype(int) * CLASSES + train[:, 1:]
    counts = 1.0 + np.bincount(pairs.ravel(), minlength=CLASSES**2).reshape(CLASSES, CLASSES)
    return np.log(counts / counts.sum(axis=1, keepdims=True))
