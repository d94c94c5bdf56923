"""Geometries of a latent space, which define paths between points and the mean of points."""

import dataclasses

import jax.numpy as jnp
from jaxtyping import Float

from ae_jax.core.types import Array


@dataclasses.dataclass(frozen=True)
class Euclidean:
    """The flat space, whose geodesics are straight lines."""

    def geodesic(
        self, start: Float[Array, "*batch D"], end: Float[Array, "*batch D"], at: Float[Array, " T"]
    ) -> Float[Array, "T *batch D"]:
        """Return points on the geodesic between two points.

        Args:
          start: the points at 0.
          end: the points at 1.
          at: positions between 0 and 1.
        """
        at = jnp.reshape(at, (-1,) + (1,) * jnp.ndim(start))
        return (1 - at) * start[None] + at * end[None]

    def mean(self, points: Float[Array, "N D"]) -> Float[Array, " D"]:
        """Return the mean of points."""
        return points.mean(axis=0)


EUCLIDEAN = Euclidean()
