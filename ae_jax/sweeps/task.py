"""A task of an engine: a compiled group, in values that can be sent to other machines."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

# Maps a step and the {name of a run: its scores} there to the {name: reason} of the runs that end early.
Judge = Callable[[int, Mapping[str, Mapping[str, float]]], Mapping[str, str]]


@dataclasses.dataclass(frozen=True)
class Task:
    """A compiled group to train.

    Attributes:
      folder: the sweep's directory.
      name: the name of the group.
      runs: {name of a run: its config as JSON holds it}.
      way: "map", "threads" or "vmap", or "auto" to measure which of them is the fastest.
      judge: called at each evaluation, or None.
      trust: modules outside ae_jax that stored configs may name, as in `ae_jax.experiments.experiment.build`.
    """

    folder: str
    name: str
    runs: dict[str, dict[str, Any]]
    way: str
    judge: Judge | None = None
    trust: tuple[str, ...] = ()
