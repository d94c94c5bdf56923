"""Verdicts on the results of a row or a run, by its config's expected and earlier values.

A result passes `expected` if it is worse by at most the allowance, which is the larger of

    2 sqrt(se_examples^2 + se_seeds^2 + se_published^2)  and  half a unit of the published figure's last place.

A result that is better than a published value by more than three times the allowance is flagged, because something else
was probably measured, until the config gives an explanation. The `regression` section has our own earlier values, which
are judged on both sides, by the spread over seeds.
"""

import dataclasses
import decimal
import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from ae_jax.commands.reproduce import Row
from ae_jax.core import lookup
from ae_jax.core.errors import UserError
from ae_jax.experiments import configuration

# A result that is better by more than so many allowances is flagged.
_FLAGGED = 3.0
# An interval of so many standard errors on either side.
_WIDTH = 2.0

PASSES, MISSES, NOT_JUDGED = "passes", "misses", "not judged"
EXPLAINED, FLAGGED = "better, explained", "flagged: explain why it is better"
ONE_SEED = "one seed, not judged"
AS_BEFORE, CHANGED = "as before", "changed"


@dataclasses.dataclass(frozen=True)
class Line:
    """A line of the table of results: a metric of a row.

    Args:
      row: name of the row.
      metric: name of the metric.
      obtained: mean over the seeds.
      spread: standard deviation over the seeds; NaN for one seed.
      seeds: number of seeds.
      expected: the expected value; NaN where there is none.
      allowance: by how much the result may be worse than expected; NaN where that is not judged.
      regression: our own earlier value; NaN where there is none.
      floor: METRIC_floor, below which no model gets; NaN where none is known.
      verdict: the verdict on the expected value.
      trend: the verdict on the earlier value; "" where there is none.
      source: where the expected value is from.
      seconds: seconds of training, on average over the seeds.
    """

    row: str
    metric: str
    obtained: float
    spread: float
    seeds: int
    expected: float
    allowance: float
    regression: float
    floor: float
    verdict: str
    trend: str
    source: str
    seconds: float

    @property
    def passed(self) -> bool:
        """Return whether the row neither misses, nor is flagged, nor has changed."""
        return self.verdict not in (MISSES, FLAGGED) and self.trend != CHANGED


def lines(row: Row, stored: Mapping[str, Any]) -> list[Line]:
    """Return the table lines of a row, one for each metric with an expected or earlier value.

    Args:
      row: the row.
      stored: {row: entry}, with this row and the rows that it is compared with.

    Raises:
      UserError: if a row that this one is compared with was not run.
    """
    config = configuration.load(row.config)
    return judge(row.name, config, config.expected, stored)


def judge(name: str, config: Any, expectations: Mapping[str, Any], stored: Mapping[str, Any]) -> list[Line]:
    """Return the table lines of a row or run for some expected and all earlier values.

    Args:
      name: the name of the row or run in `stored`.
      config: its config, whose eval.metrics say which direction is better.
      expectations: {metric: expected}.
      stored: {row: entry}.

    Raises:
      UserError: for a metric that the row does not have, or a row that was not run.
    """
    entry = stored[name]
    better = {
        key: direction
        for metric in lookup.choices("metrics")
        for key, direction in lookup.module("metrics", metric).BETTER.items()
    }
    seconds = statistics.fmean(entry["seconds"].values())
    earlier = {key: one for key, one in config.regression.items() if key in _scores_of_all(entry)}
    found = []
    for metric in dict.fromkeys((*expectations, *earlier)):
        if metric not in better:
            raise UserError(
                f"{name} expects {metric!r}, which is no score of a metric\nuse a name of: {config.eval.metrics}"
            )
        values = by_seed(name, metric, stored)
        mean, spread = _mean_and_spread(list(values.values()))
        past, expected = earlier.get(metric, {}), expectations.get(metric, {})
        value, allowance = _expected(name, metric, expected, past, stored) if expected else (math.nan, math.nan)
        gain = (mean - value) * (1 if better[metric] == "max" else -1)
        found.append(
            Line(
                row=name,
                metric=metric,
                obtained=mean,
                spread=spread,
                seeds=len(values),
                expected=value,
                allowance=allowance,
                regression=past.get("value", math.nan),
                floor=statistics.fmean(scores.get(f"{metric}_floor", math.nan) for scores in entry["scores"].values()),
                verdict=_verdict(expected, gain, allowance),
                trend=_trend(past, mean, spread, len(values)),
                source=expected.get("source", "our own earlier runs"),
                seconds=seconds,
            )
        )
    return found


def _verdict(expected: Mapping[str, Any], gain: float, allowance: float) -> str:
    """Return the verdict on a result that is better than expected by `gain`."""
    if not expected or not expected.get("judged", True):
        return NOT_JUDGED
    if math.isnan(allowance):
        return ONE_SEED
    if gain < -allowance:
        return MISSES
    # A baseline is there to be exceeded. Only a published value is suspicious if it is exceeded by far.
    if "value" in expected and gain > _FLAGGED * allowance:
        return EXPLAINED if expected.get("explained") else FLAGGED
    return PASSES


def _trend(past: Mapping[str, Any], mean: float, spread: float, seeds: int) -> str:
    """Return the verdict on a mean over `seeds` seeds, compared with our own earlier value."""
    if not past:
        return ""
    stored = past.get("sd")
    deviation = spread if stored is None else float(stored)
    if math.isnan(deviation):
        return ONE_SEED
    # Both means vary over seeds, so the variance of their difference is the sum of their variances.
    allowance = _WIDTH * deviation * math.sqrt(1 / seeds + 1 / past.get("seeds", 1))
    return AS_BEFORE if abs(mean - past["value"]) <= allowance else CHANGED


def _expected(
    name: str, metric: str, expected: Mapping[str, Any], past: Mapping[str, Any], stored: Mapping[str, Any]
) -> tuple[float, float]:
    """Return (expected value, allowance), which is NaN if it is unknown for a single seed."""
    obtained = by_seed(name, metric, stored)
    if "value" in expected:
        value, rounding = float(expected["value"]), half_a_unit(expected["value"])
        differences = [one - value for one in obtained.values()]
        others: list[float] = []
    else:
        other = expected.get("row") or name
        if other not in stored:
            raise UserError(f"row {name!r} is compared with {other!r}, which was not run\ntry: reproduce.py {other}")
        its_metric, times = expected.get("metric") or metric, expected.get("times", 1.0)
        references = {
            seed: times * one + expected.get("plus", 0.0) for seed, one in by_seed(other, its_metric, stored).items()
        }
        value, rounding = statistics.fmean(references.values()), 0.0
        differences = _paired(obtained, references)
        others = [times * _se_of_examples(other, its_metric, stored)]
    by_seeds = _se_of_seeds(differences, past)
    # Errors of two scores on the same examples are mostly correlated; the sum of their squares is an upper bound.
    errors = [_se_of_examples(name, metric, stored), *others, by_seeds, expected.get("se", 0.0)]
    return value, max(_WIDTH * math.hypot(*errors), rounding) if not math.isnan(by_seeds) else math.nan


def _paired(obtained: Mapping[str, float], references: Mapping[str, float]) -> list[float]:
    """Return the differences of the same seeds; of other seeds, those to the mean."""
    # Differences of the same seed lack the variance that the seed causes in both rows alike.
    if obtained.keys() <= references.keys():
        return [one - references[seed] for seed, one in obtained.items()]
    middle = statistics.fmean(references.values())
    return [one - middle for one in obtained.values()]


def _se_of_seeds(differences: Sequence[float], past: Mapping[str, Any]) -> float:
    """Return the standard error over seeds; for one seed the earlier deviation, or else NaN."""
    if len(differences) > 1:
        return statistics.stdev(differences) / math.sqrt(len(differences))
    return past["sd"] if past.get("sd") is not None else math.nan


def _se_of_examples(name: str, metric: str, stored: Mapping[str, Any]) -> float:
    """Return METRIC_se, on average over the seeds; 0 for a score without one."""
    return statistics.fmean(scores.get(f"{metric}_se", 0.0) for scores in stored[name]["scores"].values())


def half_a_unit(value: float) -> float:
    """Return half a unit of the last place of a figure: 0.005 for 88.71, and 0.5 for 104."""
    # The text of a float has the digits that were published. Its binary value has many more.
    exponent = decimal.Decimal(str(value)).as_tuple().exponent
    assert isinstance(exponent, int), "a published value is finite"
    return 0.5 * 10.0**exponent


def by_seed(row: str, metric: str, stored: Mapping[str, Any]) -> dict[str, float]:
    """Return {seed: score} of a metric of a row.

    Raises:
      UserError: if the row was run without that metric.
    """
    found = stored[row]["scores"]
    if not all(metric in scores for scores in found.values()):
        raise UserError(f"row {row!r} was run when it had no {metric}\ntry: reproduce.py {row}")
    return {seed: scores[metric] for seed, scores in found.items()}


def of_seeds(row: str, metric: str, stored: Mapping[str, Any]) -> tuple[float, float]:
    """Return mean and standard deviation over the seeds of a row; the latter is NaN for one.

    Raises:
      UserError: if the row was run without that metric.
    """
    return _mean_and_spread(list(by_seed(row, metric, stored).values()))


def _mean_and_spread(values: Sequence[float]) -> tuple[float, float]:
    return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else math.nan


def _scores_of_all(entry: Mapping[str, Any]) -> set[str]:
    """Return the names of the scores that every seed has."""
    return set.intersection(*(set(scores) for scores in entry["scores"].values()))
