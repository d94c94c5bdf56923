"""Gaussian values with one scale shared by all of them: fixed, learned, or the analytical optimum."""

import math

import flax.linen as nn
import jax.numpy as jnp

from ae_jax.core.distributions import Normal
from ae_jax.core.errors import UserError
from ae_jax.core.reduce import masked_mean
from ae_jax.models import likelihoods

_DECAY = 0.99


class Likelihood(likelihoods.Likelihood):
    """Take decoder outputs [S, B, *shape] as the means.

    Args:
      scale: a number (the standard deviation, in units of x), "learned" (one parameter), or "optimal": the root mean
        squared error of the training batch, which is where the likelihood is greatest (Rybkin et al. 2021,
        arXiv:2006.13202, eq. 6); outside training, its running mean.
      floor: lower bound of a learned or optimal scale, in units of x.
    """

    scale: float | str = 1.0
    floor: float = 1e-3

    def __post_init__(self):
        if self.scale not in ("learned", "optimal") and not (isinstance(self.scale, int | float) and self.scale > 0):
            raise UserError(f"model.scale is {self.scale!r}\nexpected a positive number, 'learned' or 'optimal'")
        if not self.floor > 0:
            raise UserError(f"model.floor is {self.floor!r}\nexpected a positive number, in units of x")
        super().__post_init__()

    @property
    def needs_dequantised(self) -> bool:
        return isinstance(self.scale, str)

    @nn.compact
    def __call__(self, outputs, batch, train: bool = False) -> Normal:
        log_scale = self._log_scale(outputs, batch, train)
        return Normal(outputs, log_scale, event_ndims=len(self.spec.shape))

    def _log_scale(self, outputs, batch, train):
        if self.scale == "learned":
            # floor + exp(parameter): smooth, so that a scale at its floor still has a gradient.
            return jnp.logaddexp(self.param("log_scale", nn.initializers.zeros, ()), math.log(self.floor))
        if self.scale != "optimal":
            return jnp.full((), math.log(self.scale))
        total = self.variable("statistics", "squared_error", jnp.zeros, ())
        weight = self.variable("statistics", "weight", jnp.zeros, ())
        if not train:
            mean = jnp.where(weight.value > 0, total.value / jnp.maximum(weight.value, 1e-9), 1.0)
            return 0.5 * jnp.log(mean + self.floor**2)
        errors = jnp.square(outputs - batch["x"][None]).mean(axis=(0, *range(2, outputs.ndim)))
        mean = masked_mean(errors, batch.get("mask"))
        total.value = _DECAY * total.value + (1 - _DECAY) * mean
        weight.value = _DECAY * weight.value + (1 - _DECAY)
        return 0.5 * jnp.log(mean + self.floor**2)
