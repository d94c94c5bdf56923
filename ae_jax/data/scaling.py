"""Scaling of examples: fitted to the training split, and undone for results.

The statistics are of each number of the last axis: of each column of a table, and of each channel of images or series.
They are computed from the values as stored and in float64, because float32 would lose a small range far from zero.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from ae_jax.core import errors
from ae_jax.core.errors import UserError
from ae_jax.core.types import DataSpec
from ae_jax.data import mapped

SCALES = ("none", "minmax", "standardize")


@dataclasses.dataclass(frozen=True, eq=False)
class Scaling:
    """The map x -> (x - offset) / divisor.

    Args:
      offset: float64 [C], for each number of the last axis; of one element for all of them.
      divisor: float64 [C], positive.
      clip: whether scaled values outside [0, 1] are moved to its ends.
    """

    offset: np.ndarray
    divisor: np.ndarray
    clip: bool = False

    def times(self, unit: float) -> "Scaling":
        """Return the scaling of values that are `unit` times as large."""
        return Scaling(self.offset * unit, self.divisor * unit, self.clip)

    def scaled(self, x: np.ndarray) -> np.ndarray:
        """Return stored values scaled, as float32.

        Args:
          x: values [..., C], as stored.
        """
        # Float32 would cancel the digits of values that are far from zero, so the cast comes last.
        found = (np.asarray(x, np.float64) - self.offset) / self.divisor
        return (found.clip(0, 1) if self.clip else found).astype(np.float32)

    def undone(self, x: np.ndarray) -> np.ndarray:
        """Return scaled values in their own units, as float64.

        Args:
          x: scaled values [..., C].
        """
        return np.asarray(x, np.float64) * self.divisor + self.offset


def check(scale: str) -> None:
    """Raise UserError unless a scale is one of SCALES."""
    if scale not in SCALES:
        raise errors.unknown("data.scale", scale, SCALES)


def of(spec: DataSpec, clip: bool = False) -> Scaling | None:
    """Return the scaling that a DataSpec describes; None where its examples were not scaled."""
    if not spec.mean:
        return None
    return Scaling(np.array(spec.mean, np.float64), np.array(spec.deviation, np.float64), clip)


def fit(scale: str, x: Any, clip: bool = False) -> Scaling:
    """Fit a scaling to the examples of the training split.

    A number that never varies is only shifted: its divisor is 1.

    Args:
      scale: "minmax", to [0, 1]; or "standardize", to mean 0 and standard deviation 1.
      x: examples [N, ..., C], as stored.
      clip: as in `Scaling`.
    """
    if scale == "minmax":
        least, greatest = mapped.extremes_by_feature(x)
        return Scaling(least, _positive(greatest - least), clip)
    mean, deviation = mapped.moments_by_feature(x)
    return Scaling(mean, _positive(deviation), clip)


def _positive(divisor: np.ndarray) -> np.ndarray:
    return np.where(divisor > 0, divisor, 1.0)


def apply(
    scale: str, clip: bool, spec: DataSpec, splits: Mapping[str, Mapping[str, Any]], fitted: DataSpec | None
) -> tuple[DataSpec, dict[str, dict[str, Any]]]:
    """Scale the examples of all splits.

    Args:
      scale: one of SCALES but "none".
      clip: as in `Scaling`.
      spec: what the examples look like.
      splits: {split: {"x": examples as stored, ...}}.
      fitted: the spec of a run that was trained before, whose scaling is kept; None to fit to the split "train".

    Returns:
      (the spec of the scaled examples, with the scaling as `mean` and `deviation`; the scaled splits).

    Raises:
      UserError: the examples are events or tokens, or a source has standardised them already.
    """
    if spec.kind not in ("pixels", "reals"):
        raise UserError(f"data.scale={scale!r} is for pixels and reals, and these data are {spec.kind}\nleave it out")
    if spec.mean:
        raise UserError(f"data.scale={scale!r} is for data that are not standardised yet\nleave it out")
    # The unit of the statistics is the one in which pixels are presented: the greatest level is 1.
    unit = spec.levels - 1 if spec.kind == "pixels" else 1
    known = of(fitted, clip) if fitted else None
    of_stored = known.times(unit) if known else fit(scale, splits["train"]["x"], clip)
    scaling = known or of_stored.times(1 / unit)
    found = {name: {**arrays, "x": mapped.scaled(arrays["x"], of_stored)} for name, arrays in splits.items()}
    mean, deviation = tuple(scaling.offset.tolist()), tuple(scaling.divisor.tolist())
    return dataclasses.replace(spec, kind="reals", unscaled=spec.kind, mean=mean, deviation=deviation), found
