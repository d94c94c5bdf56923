"""Thresholds of a score: which examples are outliers."""

import math

import numpy as np

from ae_jax.core.errors import UserError
from ae_jax.evaluation import detection

# How many standard deviations, estimated from the median absolute deviation, are still typical (Leys et al. 2013,
# "Detecting outliers", Journal of Experimental Social Psychology 49).
_DEVIATIONS = 3
# The standard deviation of a normal distribution, divided by its median absolute deviation.
_NORMAL = 1.4826
_EXPECTED = "use --threshold=quantile:0.95, contamination:0.05 or mad"


def check(threshold: str) -> tuple[str, float]:
    """Return (rule, number) of --threshold=RULE:NUMBER, or raise UserError.

    Args:
      threshold: "quantile:Q" or "contamination:SHARE" with a number between 0 and 1, or "mad".
    """
    rule, _, text = threshold.partition(":")
    if threshold == "mad":
        return rule, math.nan
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if rule not in ("quantile", "contamination") or not 0 < number < 1:
        raise UserError(f"--threshold={threshold} is no rule with a number between 0 and 1\n{_EXPECTED}")
    return rule, number


def reads_training_scores(threshold: str) -> bool:
    """Return whether a rule is fitted to the scores of the training examples."""
    return check(threshold)[0] != "contamination"


def flagged(threshold: str, anomaly: np.ndarray, training: np.ndarray | None = None) -> np.ndarray:
    """Return which examples are outliers, booleans [N].

    Args:
      threshold: as for `check`. "quantile:Q" flags scores above this quantile of the training scores; "mad" those more
        than three standard deviations above their median, where the median absolute deviation gives the standard
        deviation; "contamination:SHARE" this share of the scored examples, rounded to at least one.
      anomaly: scores [N] that are larger for less typical examples.
      training: the scores of the training examples, for the rules that `reads_training_scores` names.
    """
    rule, number = check(threshold)
    if rule == "contamination":
        found = np.zeros(len(anomaly), bool)
        found[detection.most_anomalous(anomaly, max(1, round(number * len(anomaly))))] = True
        return found
    assert training is not None, "the caller asks reads_training_scores"
    if rule == "quantile":
        return anomaly > np.quantile(training, number)
    middle = np.median(training)
    return anomaly > middle + _DEVIATIONS * _NORMAL * np.median(np.abs(training - middle))
