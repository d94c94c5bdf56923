"""Score grids of events against true ones, and make the grids of simple baselines.

Scores take grids [N, T] and return {name: [N]}, one number for each example. The caller computes means and errors.
"""

import numpy as np

from ae_jax.data.music.events import CLASSES, FIRST, HOLD


def scores(found: np.ndarray, truth: np.ndarray) -> dict[str, np.ndarray]:
    """Score the grids `found` against the grids `truth`, each score from 0 to 1.

    F1 is the harmonic mean of precision and recall, 2 |both| / (|found| + |truth|). It is 1 where neither has a note.

    Args:
        found: events [N, T].
        truth: events [N, T].

    Returns:
        {name: [N]}:
            accuracy: the share of steps with the same event. Two thirds of all events are holds.
            note_f1: F1 of notes. A note is found by an onset of the same pitch at the same step.
            onset_f1: F1 of onsets, whatever their pitch.
            onset_pitch_accuracy: the share of common onsets whose pitch is the same. NaN without a common onset.
    """
    is_found, is_true = found >= FIRST, truth >= FIRST
    is_same = found == truth
    is_common = is_found & is_true
    common_onsets = is_common.sum(axis=1)
    common_notes = (is_common & is_same).sum(axis=1)
    total = is_found.sum(axis=1) + is_true.sum(axis=1)
    with np.errstate(invalid="ignore"):
        return {
            "accuracy": is_same.mean(axis=1),
            "note_f1": np.where(total > 0, 2 * common_notes / total, 1.0),
            "onset_f1": np.where(total > 0, 2 * common_onsets / total, 1.0),
            "onset_pitch_accuracy": common_notes / common_onsets,
        }


def baselines(train: np.ndarray, truth: np.ndarray) -> dict[str, np.ndarray]:
    """Make the grids that four rules predict for `truth`, with counts from the training grids.

    Args:
        train: events [M, T].
        truth: events [N, T].

    Returns:
        {name: events [N, T]}:
            always_hold: no onset at all.
            most_likely: the most frequent event of each position.
            markov: the most frequent event after the one before, which is taken from `truth`.
            eighth_notes: the most frequent pitch at every other step.
    """
    steps = truth.shape[1]
    most_likely = np.array([np.bincount(column).argmax() for column in train.T])
    pitch = FIRST + np.bincount(train[train >= FIRST], minlength=FIRST + 1)[FIRST:].argmax()
    is_eighth = np.arange(steps) % 2 == 0
    following = log_transitions(train).argmax(axis=1)
    markov = np.column_stack([np.full(len(truth), most_likely[0]), following[truth[:, :-1]]])
    return {
        "always_hold": np.broadcast_to(np.full(steps, HOLD), truth.shape),
        "most_likely": np.broadcast_to(most_likely, truth.shape),
        "markov": markov,
        "eighth_notes": np.broadcast_to(np.where(is_eighth, pitch, HOLD), truth.shape),
    }


def log_transitions(train: np.ndarray) -> np.ndarray:
    """Return log p(event | the event before), [CLASSES, CLASSES], with add-one smoothing.

    Args:
        train: events [M, T].
    """
    pairs = train[:, :-1].astype(int) * CLASSES + train[:, 1:]
    counts = 1.0 + np.bincount(pairs.ravel(), minlength=CLASSES**2).reshape(CLASSES, CLASSES)
    return np.log(counts / counts.sum(axis=1, keepdims=True))
