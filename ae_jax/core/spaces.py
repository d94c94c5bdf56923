"""Geometries of a latent space: how to go from one point to another, and what the mean of points is."""

import dataclasses
from typing import Any

import jax.numpy as jnp


@dataclasses.dataclass(frozen=True)
class Euclidean:
    """The flat space: geodesics are straight lines."""

    def geodesic(self, start: Any, end: Any, at: Any) -> Any:
        """Return the points [T, ..., D] that lie the shares `at` [T] of the way from `start` to `end` [..., D]."""
        at = jnp.reshape(at, (-1,) + (1,) * jnp.ndim(start))
        return (1 - at) * start[None] + at * end[None]

    def mean(self, points: Any) -> Any:
        """Return the mean [D] of points [N, D]."""
        return points.mean(axis=0)


EUCLIDEAN = Euclidean()
