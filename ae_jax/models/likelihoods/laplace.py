"""Laplace values of one fixed scale: the absolute error as a loss."""

import math

import jax.numpy as jnp

from ae_jax.core.distributions import Laplace
from ae_jax.core.errors import UserError
from ae_jax.models import likelihoods


class Likelihood(likelihoods.Likelihood):
    """Take decoder outputs [S, B, *shape] as the locations.

    Args:
      scale: the scale, in units of x.
    """

    scale: float = 0.1

    def __post_init__(self):
        if not (isinstance(self.scale, int | float) and self.scale > 0):
            raise UserError(f"model.scale is {self.scale!r}\nexpected a positive number")
        super().__post_init__()

    def __call__(self, outputs, batch, train: bool = False) -> Laplace:
        return Laplace(outputs, jnp.full((), math.log(self.scale)), event_ndims=len(self.spec.shape))
