"""Windows of long series: a recording, or several, cut into examples of one length.

Windows overlap where the stride is shorter than the window. Therefore splits are cut before windows are: one recording
by time, its end being the test split, and several recordings as wholes.
"""

from typing import Any

import numpy as np

from ae_jax.core.errors import UserError


def cut(x: Any, window: int, stride: int, share: float, held: float, whole: bool) -> dict[str, np.ndarray]:
    """Cut series into windows, and these into splits that share no moment of time.

    Args:
      x: one recording [T] or [T, C], or several [N, T, C].
      window: the length of a window.
      stride: the steps from one window to the next; 0 for the length of a window.
      share: the share of the time, or of the recordings, that is the test split.
      held: the size of the validation split: a number of windows, or below 1 a share; 0 for none.
      whole: whether all windows are wanted as one split, "all".

    Returns:
      {"train", "validation"?, "test"} or {"all"}: windows [M, window, C], or [M, window] of recordings [T].

    Raises:
      UserError: the recordings are too short, or of another number of axes.
    """
    if x.ndim not in (1, 2, 3):
        raise UserError(f"data.window={window} of an array of shape {list(x.shape)}\nexpected [T], [T, C] or [N, T, C]")
    recordings = x if x.ndim == 3 else x[None]
    steps, stride = recordings.shape[1], stride or window
    if steps < window:
        raise UserError(f"data.window={window} of recordings of {steps} steps\nexpected a window of at most those")
    if whole:
        return {"all": _windows(recordings, window, stride)}
    parts = _by_time(recordings, share) if len(recordings) == 1 else _by_recording(recordings, share)
    if held and len(recordings) == 1:
        windows = max((parts["train"].shape[1] - window) // stride + 1, 0)
        count = round(held * windows) if held < 1 else int(held)
        length = (count - 1) * stride + window
        rest = parts["train"].shape[1] - length
        parts = {**parts, "train": parts["train"][:, : max(rest, 0)], "validation": parts["train"][:, max(rest, 0) :]}
    elif held:
        each = max((steps - window) // stride + 1, 1)
        count = held if held < 1 else held / (each * len(parts["train"]))
        kept = _by_recording(parts["train"], count, seed=1)
        parts = {**parts, "train": kept["train"], "validation": kept["test"]}
    for name, part in parts.items():
        if not len(part) or part.shape[1] < window:
            raise UserError(
                f"data.window={window}: the {name} split has no window, of {len(recordings)} recordings of {steps} "
                "steps\nuse a shorter window, or another data.split or data.validation"
            )
    return {name: _windows(part, window, stride) for name, part in parts.items()}


def _by_time(recordings: np.ndarray, share: float) -> dict[str, np.ndarray]:
    end = recordings.shape[1] - round(share * recordings.shape[1])
    return {"train": recordings[:, :end], "test": recordings[:, end:]}


def _by_recording(recordings: np.ndarray, share: float, seed: int = 0) -> dict[str, np.ndarray]:
    """Draw a share of the recordings, at least one, as "test"."""
    count = len(recordings)
    test = np.zeros(count, bool)
    # RandomState draws the same numbers in every version of NumPy.
    test[np.random.RandomState(seed).permutation(count)[: max(round(share * count), 1)]] = True
    return {"train": recordings[~test], "test": recordings[test]}


def _windows(recordings: np.ndarray, window: int, stride: int) -> np.ndarray:
    """Return the windows of recordings [N, T(, C)], recording by recording: [M, window(, C)]."""
    found = np.lib.stride_tricks.sliding_window_view(recordings, window, axis=1)[:, ::stride]
    found = np.moveaxis(found, -1, 2)
    return np.ascontiguousarray(found.reshape(-1, *found.shape[2:]))
