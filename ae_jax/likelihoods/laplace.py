"""Laplace values of one fixed scale: the absolute error as a loss."""

import math

import flax.linen as nn
import jax.numpy as jnp

from ae_jax.distributions import Laplace
from ae_jax.types import DataSpec


class Likelihood(nn.Module):
    """Decoder outputs [S, B, *shape] are the locations; `scale` is in units of x."""

    spec: DataSpec
    scale: float = 0.1

    outputs_per_value = 1
    needs_dequantised = False
    needs_mean = False

    def __call__(self, outputs, batch, train: bool = False) -> Laplace:
        return Laplace(outputs, jnp.full((), math.log(self.scale)), event_ndims=len(self.spec.shape))
