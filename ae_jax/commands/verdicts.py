"""Verdicts: what a row or a run obtained, compared with what its config expects."""

import dataclasses
import math
import statistics
from collections.abc import Mapping
from typing import Any

from ae_jax.commands.reproduce import Row
from ae_jax.core import lookup
from ae_jax.core.errors import UserError
from ae_jax.experiments import configuration

TOLERANCE = 0.015
_SUSPICIOUS = 0.1


@dataclasses.dataclass(frozen=True)
class Line:
    """One line of the table: a metric of a row."""

    row: str
    metric: str
    expected: float
    obtained: float
    spread: float  # standard deviation over seeds; NaN for one seed
    floor: float  # METRIC_floor, below which no model gets; NaN where none is known
    verdict: str
    source: str
    seconds: float

    @property
    def passed(self) -> bool:
        """Return whether the row is not outside its tolerance."""
        return self.verdict in ("meets it", "better", "not judged")


def lines(row: Row, stored: Mapping[str, Any]) -> list[Line]:
    """Return the table lines of a row: each expected metric beside what was obtained, with its verdict.

    Args:
      row: the row.
      stored: {row: entry}, with this row and the rows that it is compared with.

    Raises:
      UserError: if a row that this one is compared with was not run.
    """
    config = configuration.load(row.config)
    return judge(row.name, config, config.expected, stored)


def judge(name: str, config: Any, expectations: Mapping[str, Any], stored: Mapping[str, Any]) -> list[Line]:
    """Return the table lines of a row or run for some of the config's `expected` metrics.

    The verdict is one-sided: a better result passes.

    Args:
      name: the name of the row or run in `stored`.
      config: its config, whose eval.metrics say which direction is better.
      expectations: {metric: expected}.
      stored: {row: entry}.

    Raises:
      UserError: for a metric that none of eval.metrics computes, or a row that was not run.
    """
    entry, answered = stored[name], []
    modules = [lookup.module("metrics", name) for name in config.eval.metrics]
    better = {key: direction for module in modules for key, direction in module.BETTER.items()}
    seconds = sum(entry["seconds"].values()) / len(entry["seconds"])
    for metric, expected in expectations.items():
        if metric not in better:
            raise UserError(f"{name} expects {metric!r}, which none of its eval.metrics answers")
        mean, spread = of_seeds(name, metric, stored)
        value = _expected_value(name, metric, expected, stored)
        tolerance = expected.get("tolerance", TOLERANCE * abs(value))
        is_result = "value" in expected and "tolerance" not in expected
        suspicious = expected.get("suspicious", _SUSPICIOUS * abs(value) if is_result else math.inf)
        gain = (mean - value) * (1 if better[metric] == "max" else -1)
        verdict = _verdict(gain, tolerance, suspicious) if expected.get("judged", True) else "not judged"
        floor = statistics.fmean(scores.get(f"{metric}_floor", math.nan) for scores in entry["scores"].values())
        answered.append(Line(name, metric, value, mean, spread, floor, verdict, expected["source"], seconds))
    return answered


def _verdict(gain: float, tolerance: float, suspicious: float) -> str:
    if gain > suspicious:
        return "suspicious: check binarisation and normalisation"
    if gain > tolerance:
        return "better"
    return "meets it" if gain >= -tolerance else "misses"


def _expected_value(name: str, metric: str, expected: Mapping[str, Any], stored: Mapping[str, Any]) -> float:
    if "value" in expected:
        return expected["value"]
    if (other := expected.get("row", name)) not in stored:
        raise UserError(f"row {name!r} is compared with {other!r}, which was not run\ntry: reproduce.py {other}")
    mean, _ = of_seeds(other, expected.get("metric", metric), stored)
    return expected.get("times", 1.0) * mean + expected.get("plus", 0.0)


def of_seeds(row: str, metric: str, stored: Mapping[str, Any]) -> tuple[float, float]:
    """Return the mean and the standard deviation of a metric over the seeds of a row.

    Args:
      row: the name of the row.
      metric: the metric.
      stored: {row: entry}.

    Returns:
      (mean, standard deviation); the latter is NaN for a single seed.

    Raises:
      UserError: if the row was run without that metric.
    """
    found = stored[row]["scores"].values()
    if not all(metric in scores for scores in found):
        raise UserError(f"row {row!r} was run when it had no {metric}\ntry: reproduce.py {row}")
    values = [scores[metric] for scores in found]
    return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else math.nan
