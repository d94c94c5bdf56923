"""Values of axes, scores of runs, and runs that share a setting, for figures of sweeps.

A setting is a combination of values of some axes.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ae_jax.core import errors
from ae_jax.core.errors import UserError

SEED = "seed"  # the axis over which figures draw means and their uncertainty


# --- axes -------------------------------------------------------------------------------------------------------------


def axis(survey: Any, name: str, taken: Sequence[str] = ()) -> str:
    """Return the config key of an axis of a sweep.

    Args:
      survey: the sweep.
      name: the key that the user names, or "" for the first axis that is neither the seed nor taken, else the seed.
      taken: keys that the figure uses for something else.

    Raises:
      UserError: if the sweep has no axis of this name.
    """
    names = list(survey.runs[0].axes)
    if name and name not in names:
        raise errors.unknown("axis of this sweep", name, names)
    if name:
        return name
    free = [other for other in names if other not in (SEED, *taken)]
    return free[0] if free else SEED


def values(survey: Any, name: str) -> list[str]:
    """Return the texts of the values of an axis.

    They are in the order of their numbers if all of them are numbers, else in the order of their first appearances.

    Args:
      survey: the sweep.
      name: the config key of the axis.
    """
    texts = list(dict.fromkeys(run.axes.get(name, "") for run in survey.runs))
    if all(math.isfinite(number(text)) for text in texts):
        return sorted(texts, key=number)
    return texts


def number(text: str) -> float:
    """Return the number that a text spells, or nan.

    Args:
      text: the text.
    """
    try:
        return float(text)
    except ValueError:
        return math.nan


def places(texts: Sequence[str]) -> np.ndarray:
    """Return where to draw the values of an axis.

    They are drawn at their numbers, or evenly spaced if some of them are no numbers.

    Args:
      texts: the values.

    Returns:
      Array [X].
    """
    numbers = np.array([number(text) for text in texts])
    if np.isfinite(numbers).all():
        return numbers
    return np.arange(len(texts), dtype=float)


def is_geometric(at: np.ndarray) -> bool:
    """Return whether places are spaced more evenly on a logarithmic axis than on a linear one.

    Args:
      at: places [X], in ascending order.
    """
    if len(at) < 3 or at.min() <= 0:
        return False
    return bool(_unevenness(np.diff(np.log(at))) < _unevenness(np.diff(at)))


def _unevenness(steps: np.ndarray) -> float:
    """Return the coefficient of variation."""
    return steps.std() / steps.mean()


# --- scores and settings ----------------------------------------------------------------------------------------------


def metric(survey: Any, name: str) -> tuple[str, np.ndarray]:
    """Return the scores of all runs in a metric.

    Args:
      survey: the sweep, with R runs.
      name: "METRIC" or "final.METRIC" for scores at the end of training, "best.METRIC" for the best ones during it, or
        "" for the metric of the survey.

    Returns:
      (name for a figure, scores [R]). A score is nan if the run does not have it.

    Raises:
      UserError: if no run has the metric.
    """
    kind, plain = "final", name
    if name.startswith(("final.", "best.")):
        kind, plain = name.split(".", 1)
    plain = plain or survey.metric
    scores = np.array([run.result[kind].get(plain, math.nan) for run in survey.runs], np.float64)
    if np.isnan(scores).all():
        known = {key for run in survey.runs for key in run.result[kind]}
        raise errors.unknown("metric of this sweep", plain, known)
    return f"best {plain}" if kind == "best" else plain, scores


def settings(survey: Any, without: Sequence[str] = (SEED,)) -> tuple[np.ndarray, list[str]]:
    """Divide the runs by their settings.

    Args:
      survey: the sweep, with R runs.
      without: config keys of axes that do not count. Axes with a single value never count.

    Returns:
      (integers [R], the number of each run's setting; labels of the settings).
    """
    kept = [name for name in survey.runs[0].axes if name not in without and len(values(survey, name)) > 1]
    ordered = {name: values(survey, name) for name in kept}
    # The setting of a run, as the places of its values among those of each axis, by which settings are sorted.
    own = [tuple(ordered[name].index(run.axes[name]) for name in kept) for run in survey.runs]
    there = sorted(set(own))
    labels = []
    for setting in there:
        labels.append(label({name: ordered[name][place] for name, place in zip(kept, setting)}))
    return np.array([there.index(setting) for setting in own]), labels


# --- words ------------------------------------------------------------------------------------------------------------


def label(setting: dict[str, str]) -> str:
    """Return a setting in few words, with only the last part of each key.

    Args:
      setting: {config key: text of its value}.
    """
    return ", ".join(f"{key.rpartition('.')[2]}={text}" for key, text in setting.items())


def word(name: str) -> str:
    """Return a config key or a metric as the title of an axis.

    Args:
      name: the key or the metric.
    """
    return name.replace("_", " ")


def check_count(count: int, most: int, what: str) -> None:
    """Check that a figure does not show more things than a reader can tell apart.

    Args:
      count: how many things it shows.
      most: how many it may show.
      what: their name, in the plural.

    Raises:
      UserError: if there are more.
    """
    if count > most:
        raise UserError(f"{count} {what} in one figure\nuse at most {most}: a smaller sweep, or another figure")
