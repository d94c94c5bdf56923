"""Read the axes and scores of a sweep's runs for its figures."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ae_jax.core import errors
from ae_jax.core.errors import UserError

SEED = "seed"  # the axis over which there is a mean and a spread


def axis(survey: Any, name: str, taken: Sequence[str] = ()) -> str:
    """The axis of this name; of none, the first that is not the seed and not taken, else the seed.

    Raises UserError where the sweep has no such axis.
    """
    names = list(survey.runs[0].axes)
    if name and name not in names:
        raise errors.unknown("axis of this sweep", name, names)
    free = [other for other in names if other not in (SEED, *taken)] + [SEED]
    return name or free[0]


def values(survey: Any, name: str) -> list[str]:
    """The texts of an axis, in the order of the numbers where all are numbers, else of their appearance."""
    texts = list(dict.fromkeys(run.axes.get(name, "") for run in survey.runs))
    numbers = [number(text) for text in texts]
    return sorted(texts, key=number) if all(map(math.isfinite, numbers)) else texts


def number(text: str) -> float:
    """The number that a text spells, or nan."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def places(texts: Sequence[str]) -> np.ndarray:
    """[X], where to draw the values of an axis: at their numbers, or one after the other where some are none."""
    numbers = np.array([number(text) for text in texts])
    return numbers if np.isfinite(numbers).all() else np.arange(len(texts), dtype=float)


def is_geometric(at: np.ndarray) -> bool:
    """Whether places lie more evenly on a logarithmic axis than on a linear one."""
    if len(at) < 3 or at.min() <= 0:
        return False
    uneven = lambda steps: steps.std() / steps.mean()
    return bool(uneven(np.diff(np.log(at))) < uneven(np.diff(at)))


def metric(survey: Any, name: str) -> tuple[str, np.ndarray]:
    """(name, [R] values): "METRIC" and "final.METRIC" are those at the end, "best.METRIC" the best; nan where a run has
    none. Raises UserError where no run has it.
    """
    kind, _, plain = name.rpartition(".") if name.startswith(("final.", "best.")) else ("final", "", name)
    plain = plain or survey.metric
    found = np.array([run.result[kind].get(plain, math.nan) for run in survey.runs], np.float64)
    if np.isnan(found).all():
        raise errors.unknown("metric of this sweep", plain, {key for run in survey.runs for key in run.result[kind]})
    return f"best {plain}" if kind == "best" else plain, found


def groups(survey: Any, without: Sequence[str] = (SEED,)) -> tuple[np.ndarray, list[str]]:
    """([R] the group of each run, [G] names): runs are together that agree in all axes but the ones left out."""
    kept = [name for name in survey.runs[0].axes if name not in without and len(values(survey, name)) > 1]
    ordered = {name: values(survey, name) for name in kept}
    own = [tuple(ordered[name].index(run.axes[name]) for name in kept) for run in survey.runs]
    there = sorted(set(own))
    names = [label({name: ordered[name][i] for name, i in zip(kept, place)}) for place in there]
    return np.array([there.index(place) for place in own]), names


def label(settings: dict[str, str]) -> str:
    """Settings in few words: the last part of each key."""
    return ", ".join(f"{key.rpartition('.')[2]}={text}" for key, text in settings.items())


def word(name: str) -> str:
    """A config key or a metric as an axis' title."""
    return name.replace("_", " ")


def too_many(count: int, most: int, what: str) -> None:
    """Raises UserError beyond what can be told apart."""
    if count > most:
        raise UserError(f"{count} {what} in one figure\nexpected at most {most}: sweep less, or draw another figure")
