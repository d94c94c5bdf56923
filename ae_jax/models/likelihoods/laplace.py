"""Laplace values with one fixed scale: the absolute error as a loss."""

import math

import jax.numpy as jnp

from ae_jax.core.distributions import Laplace
from ae_jax.core.errors import UserError
from ae_jax.models import likelihoods


class Likelihood(likelihoods.Likelihood):
    """Map locations [S, B, *shape] to a Laplace distribution whose scale all values share.

    Args:
      spec: the shape and kind of one example.
      scale: the scale of the distribution, which is its mean absolute deviation, in units of x.

    Raises:
      UserError: if `scale` is not positive.
    """

    scale: float = 0.1

    def __post_init__(self):
        """Check the scale."""
        if not (isinstance(self.scale, int | float) and self.scale > 0):
            raise UserError(f"model.scale is {self.scale!r}\nexpected a positive number")
        super().__post_init__()

    def __call__(self, outputs, batch, train: bool = False) -> Laplace:
        """Return the distribution over x, batch shape [S, B].

        Args:
          outputs: locations [S, B, *shape].
          batch: not read.
          train: not read.
        """
        return Laplace(outputs, jnp.full((), math.log(self.scale)), event_ndims=len(self.spec.shape))
