"""Pixels as levels: a mixture of discretised logistic distributions, whose -log p(x) is in nats of the data as stored.

Salimans et al. 2017, "PixelCNN++", arXiv:1701.05517, section 2.
"""

import jax.numpy as jnp

from ae_jax.core.discretized import LogisticMixture
from ae_jax.core.errors import UserError
from ae_jax.core.forms import Size
from ae_jax.models import likelihoods

_LEAST_LOG_SCALE = -7.0  # as in the paper's code: a component there has 97 % of its mass on one of 256 levels


class Likelihood(likelihoods.Likelihood):
    """Decoder outputs [S, B, H, W, F] are, of each pixel of C channels, the K logits of its components, then K numbers
    for each channel's location, log scale, and coefficients on the channels before it: F = K (1 + 2 C + C (C - 1) / 2).

    mixtures: K. Raises UserError for data that are no images of levels.
    """

    mixtures: Size = 10

    support = (0, 1)

    def __post_init__(self):
        if self.spec.kind != "pixels" or len(self.spec.shape) != 3:
            raise UserError(
                f"the discretised logistic mixture is for images of pixels, not for {self.spec.kind} of shape "
                f"{tuple(self.spec.shape)}\ntry model.likelihood=gaussian"
            )
        if not (isinstance(self.mixtures, int) and self.mixtures >= 1):
            raise UserError(f"model.mixtures is {self.mixtures!r}\nexpected a whole number of at least 1")
        super().__post_init__()

    @property
    def output_shape(self):
        return (*self.spec.shape[:2], self.mixtures * (1 + 2 * self.spec.shape[-1] + self._pairs))

    @property
    def _pairs(self) -> int:
        """How many pairs of channels there are."""
        channels = self.spec.shape[-1]
        return channels * (channels - 1) // 2

    def __call__(self, outputs, batch, train: bool = False) -> LogisticMixture:
        by_component = outputs.reshape(*outputs.shape[:-1], -1, self.mixtures)
        ends = (1, 1 + self.spec.shape[-1], 1 + 2 * self.spec.shape[-1])
        logits, loc, log_scale, coefficients = jnp.split(by_component, ends, axis=-2)
        log_scale = jnp.maximum(log_scale, _LEAST_LOG_SCALE)
        return LogisticMixture(logits[..., 0, :], loc, log_scale, jnp.tanh(coefficients), self.spec.levels)
