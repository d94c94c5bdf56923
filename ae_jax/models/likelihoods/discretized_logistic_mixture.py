"""A mixture of discretised logistic distributions over the levels of pixels.

Its -log p(x) is in nats of the data as stored.

Salimans et al. 2017, "PixelCNN++", arXiv:1701.05517, section 2.
"""

import jax.numpy as jnp

from ae_jax.core.discretized import LogisticMixture
from ae_jax.core.errors import UserError
from ae_jax.core.forms import Size
from ae_jax.models import likelihoods

# The lower bound of log scales in the paper's code. A component at the bound has 97 % of its mass on one of 256 levels.
_LEAST_LOG_SCALE = -7.0


class Likelihood(likelihoods.Likelihood):
    """Map outputs [S, B, H, W, F] to K mixed discretised logistic distributions of each pixel.

    The F = K (1 + 2 C + C (C - 1) / 2) outputs of a pixel with C channels are the K logits of the components, then K
    numbers for each channel's location, for its log scale, and for its coefficient on each channel before it.

    Args:
      spec: the shape and kind of one example, which must be an image of pixels.
      mixtures: K, the number of components.

    Raises:
      UserError: if the examples are not images of pixels, or if `mixtures` is less than 1.
    """

    mixtures: Size = 10

    support = (0, 1)

    def __post_init__(self):
        """Check the kind of the data and the number of components."""
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
        """Return the shape of the decoder's outputs for one example, (H, W, F)."""
        return (*self.spec.shape[:2], self.mixtures * (1 + 2 * self.spec.shape[-1] + self._pairs))

    @property
    def _pairs(self) -> int:
        """Return the number of pairs of channels."""
        channels = self.spec.shape[-1]
        return channels * (channels - 1) // 2

    def __call__(self, outputs, batch, train: bool = False) -> LogisticMixture:
        """Return the distribution over x, batch shape [S, B].

        Args:
          outputs: decoder outputs [S, B, H, W, F], laid out as the class says.
          batch: not read.
          train: not read.
        """
        channels = self.spec.shape[-1]
        by_component = outputs.reshape(*outputs.shape[:-1], -1, self.mixtures)
        ends = (1, 1 + channels, 1 + 2 * channels)
        logits, loc, log_scale, coefficients = jnp.split(by_component, ends, axis=-2)
        log_scale = jnp.maximum(log_scale, _LEAST_LOG_SCALE)
        # As in the paper's code, tanh keeps the coefficients between channels in (-1, 1).
        return LogisticMixture(logits[..., 0, :], loc, log_scale, jnp.tanh(coefficients), self.spec.levels)
