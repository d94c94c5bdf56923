"""Gaussian values with one standard deviation: fixed, learned, or the analytical optimum."""

import math

import flax.linen as nn
import jax.numpy as jnp

from ae_jax.core.distributions import Normal
from ae_jax.core.errors import UserError
from ae_jax.core.reduce import masked_mean
from ae_jax.models import likelihoods

# The decay per training step of the running mean of the squared error.
_DECAY = 0.99


class Likelihood(likelihoods.Likelihood):
    """Map means [S, B, *shape] to a Normal with one standard deviation for all values.

    Args:
      spec: the shape and kind of one example.
      scale: the standard deviation in units of x, "learned" or "optimal". "learned" is one parameter. "optimal" is the
        root mean squared error of the training batch, which maximises the likelihood (sigma-VAE, Rybkin et al. 2021,
        arXiv:2006.13202, eq. 6); outside training it is the root of the running mean of the squared error.
      floor: the lower bound of a learned or optimal scale, in units of x.
      min_log_scale: the lower bound of the logarithm of the scale, whatever it is.

    Raises:
      UserError: if `scale` or `floor` is not positive, or if `scale` is an unknown word.
    """

    scale: float | str = 1.0
    floor: float = 1e-3
    min_log_scale: float = -math.inf

    def __post_init__(self):
        """Check the scale and its floor."""
        if self.scale not in ("learned", "optimal") and not (isinstance(self.scale, int | float) and self.scale > 0):
            raise UserError(f"model.scale is {self.scale!r}\nexpected a positive number, 'learned' or 'optimal'")
        if not self.floor > 0:
            raise UserError(f"model.floor is {self.floor!r}\nexpected a positive number, in units of x")
        super().__post_init__()

    @property
    def needs_dequantised(self) -> bool:
        """Tell whether pixels must be dequantised.

        On discrete values a scale that adapts could shrink to zero.
        """
        return isinstance(self.scale, str)

    @nn.compact
    def __call__(self, outputs, batch, train: bool = False) -> Normal:
        """Return the distribution over x, batch shape [S, B].

        Args:
          outputs: means [S, B, *shape].
          batch: "x" and "mask" are read in training, by the optimal scale alone.
          train: whether this is a training step, in which the optimal scale is that of this batch.
        """
        log_scale = self._log_scale(outputs, batch, train)
        if math.isfinite(self.min_log_scale):
            log_scale = jnp.maximum(log_scale, self.min_log_scale)
        return Normal(outputs, log_scale, event_ndims=len(self.spec.shape))

    def _log_scale(self, outputs, batch, train):
        """Return the logarithm of the standard deviation, shape []."""
        if self.scale == "learned":
            # The scale is exp(parameter) + floor. Unlike a maximum, the sum has a gradient everywhere.
            return jnp.logaddexp(self.param("log_scale", nn.initializers.zeros, ()), math.log(self.floor))
        if self.scale != "optimal":
            return jnp.full((), math.log(self.scale))
        total = self.variable("statistics", "squared_error", jnp.zeros, ())
        weight = self.variable("statistics", "weight", jnp.zeros, ())
        if not train:
            # Both averages start at zero, and their quotient has no bias. Before the first step the scale is one.
            mean = jnp.where(weight.value > 0, total.value / jnp.maximum(weight.value, 1e-9), 1.0)
            return 0.5 * jnp.log(mean + self.floor**2)
        errors = jnp.square(outputs - batch["x"][None]).mean(axis=(0, *range(2, outputs.ndim)))
        mean = masked_mean(errors, batch.get("mask"))
        total.value = _DECAY * total.value + (1 - _DECAY) * mean
        weight.value = _DECAY * weight.value + (1 - _DECAY)
        # No gradient is stopped: at the optimum the derivative of the likelihood by the scale is zero.
        return 0.5 * jnp.log(mean + self.floor**2)
