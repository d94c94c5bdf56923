"""Melodies that wander along a scale, made up on the spot, for trials without any file."""

import re

import numpy as np

from ae_jax.core.errors import UserError
from ae_jax.core.types import DataSpec
from ae_jax.data.music import events

_MAJOR = np.array([0, 2, 4, 5, 7, 9, 11])
_RHYTHMS = ((4,), (2, 2), (3, 1), (2, 1, 1), (1, 1, 1, 1))  # of a quarter, in sixteenths
_COUNT = {"train": 1088, "test": 64}


def load(name: str = "") -> tuple[DataSpec, dict]:
    """Draw melodies of a number of bars; the same ones every time.

    Args:
      name: "scales_2bar", which is the default, "scales_16bar", or any other number of bars.

    Returns:
      The DataSpec, and {"train", "test"}: "x" [N, 16 bars] uint8, events as `ae_jax.data.music.events` has them, and
      "label", the place in _RHYTHMS of the rhythm that a melody prefers.

    Raises:
      UserError: the name is none of these.
    """
    bars = re.fullmatch(r"scales_([1-9]\d*)bar", name or "scales_2bar")
    if not bars:
        raise UserError(f"data.name={name!r} names no windows of scales\nexpected scales_2bar, scales_16bar, ...")
    generator, steps = np.random.default_rng(0), events.STEPS * int(bars[1])
    splits = {}
    for split, count in _COUNT.items():
        label = generator.integers(0, len(_RHYTHMS), count).astype(np.int32)
        splits[split] = {"x": np.stack([_melody(generator, each, steps) for each in label]), "label": label}
    return DataSpec((steps,), "events", len(_RHYTHMS), levels=events.CLASSES), splits


def _melody(generator: np.random.Generator, rhythm: int, steps: int) -> np.ndarray:
    """Draw a grid [steps] of quarters in one rhythm four times out of five, or in any.

    Neighbours are a step apart.
    """
    durations: list[int] = []
    for _ in range(steps // 4):
        durations += _RHYTHMS[rhythm if generator.random() < 0.8 else generator.integers(len(_RHYTHMS))]
    places = 7 + np.abs(generator.integers(0, 7) + np.cumsum(generator.choice([-1, 1], len(durations)))) % 14
    pitches = 48 + generator.integers(0, 12) + 12 * (places // 7) + _MAJOR[places % 7]
    onsets = np.cumsum([0, *durations[:-1]])
    return events.to_events(np.column_stack([onsets, durations, pitches]), steps)
