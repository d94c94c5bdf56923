"""The space of a search: axes as distributions of Optuna, and the values of trials as texts."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ae_jax.core.errors import UserError
from ae_jax.sweeps import axes

Space = dict[str, Any]  # {config key: distribution of Optuna}

FORMS = "lin:A:B, log:A:B or INT:INT for any number between, or a list of values as for a sweep"
_SPAN = re.compile(r"(lin|log):([^:,]+):([^:,]+)")
_INTEGERS = re.compile(r"(-?\d+):(-?\d+)")
# The share of a span below the value that stands for its inside. At a rounder share, the value might happen to be a
# whole number, and a key that takes only whole numbers would not be refused.
_INSIDE = 0.381966


def parse(text: str) -> tuple[str, Any]:
    """Parse the text of an axis of a search, "KEY=VALUES".

    "lin:A:B" and "log:A:B" stand for any number from A to B, and "INT:INT" for the whole numbers of Python's range.
    Other values are those of a sweep, from which trials choose.

    Args:
      text: the axis.

    Returns:
      (config key, distribution of Optuna).

    Raises:
      UserError: if the text cannot be parsed, or if the axis has no values.
    """
    from optuna import distributions

    key, _, values = text.partition("=")
    if span := _SPAN.fullmatch(values):
        low, high = _ends(key, values, span[2], span[3])
        return key.strip(), distributions.FloatDistribution(low, high, log=span[1] == "log")
    if integers := _INTEGERS.fullmatch(values):
        low, high = int(integers[1]), int(integers[2])
        if low < high:
            return key.strip(), distributions.IntDistribution(low, high - 1)
    key, listed = axes.parse(text)
    return key, distributions.CategoricalDistribution(listed)


def _ends(key: str, values: str, low: str, high: str) -> tuple[float, float]:
    """Return the ends of a span as numbers, or raise UserError."""
    try:
        ends = float(low), float(high)
    except ValueError:
        raise UserError(f"axis {key!r}: {values!r} cannot be read\nuse {FORMS}") from None
    positive = ends[0] > 0 or values.startswith("lin")
    if not (math.isfinite(ends[0]) and ends[0] < ends[1] < math.inf and positive):
        raise UserError(f"axis {key!r}: {values!r} spans nothing\nuse A below B, and for log both above 0")
    return ends


def texts(params: Mapping[str, Any]) -> axes.Assignment:
    """Return the values of a trial as texts, with six significant digits as in axes.

    Args:
      params: {config key: value} of the trial.
    """
    spelled = {}
    for key, value in params.items():
        spelled[key] = f"{value:.6g}" if isinstance(value, float) else str(value)
    return spelled


def combinations(space: Space) -> float:
    """Return the number of combinations of values, which is infinite if an axis is a span.

    Args:
      space: the axes.
    """
    return math.prod(map(_count, space.values()))


def _count(distribution: Any) -> float:
    from optuna import distributions

    if isinstance(distribution, distributions.CategoricalDistribution):
        return len(set(distribution.choices))
    if isinstance(distribution, distributions.IntDistribution):
        return distribution.high - distribution.low + 1
    return math.inf


def contains(space: Space, params: Mapping[str, Any]) -> bool:
    """Return whether a trial that was read from disk has a value of every axis, and no others.

    Args:
      space: the axes.
      params: {config key: value} of the trial.
    """
    if space.keys() != params.keys():
        return False
    return all(_is_value(space[key], value) for key, value in params.items())


def _is_value(distribution: Any, value: Any) -> bool:
    from optuna import distributions

    if isinstance(distribution, distributions.CategoricalDistribution):
        return value in distribution.choices
    # A text could name code to import; any number is harmless.
    return not isinstance(value, str)


def corners(space: Space) -> list[axes.Assignment]:
    """Return runs that stand for all runs of a space.

    They have every choice, both ends of every span, and a value between the ends. If the plan of these runs is valid,
    so is every run that the search may draw.

    Args:
      space: the axes.
    """
    samples = {key: _sample(distribution) for key, distribution in space.items()}
    first = {key: values[0] for key, values in samples.items()}
    found = []
    for key, values in samples.items():
        found += [texts({**first, key: value}) for value in values]
    return distinct(found)


def _sample(distribution: Any) -> Sequence[Any]:
    """Return every choice of an axis; of a span its ends and, if it has fractions, one."""
    from optuna import distributions

    if isinstance(distribution, distributions.CategoricalDistribution):
        return distribution.choices
    low, high = distribution.low, distribution.high
    if isinstance(distribution, distributions.IntDistribution):
        return low, high
    return low, low + _INSIDE * (high - low), high


def distinct(assignments: Iterable[axes.Assignment]) -> list[axes.Assignment]:
    """Return assignments without repetitions, in the order of their first appearances.

    Args:
      assignments: assignments with the same keys.
    """
    return list({tuple(one.items()): one for one in assignments}.values())
