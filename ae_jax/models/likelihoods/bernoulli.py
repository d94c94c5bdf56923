"""Bernoulli pixels from logits.

On grey levels this is the cross-entropy loss, a surrogate, not a density.
"""

import flax.linen as nn
import jax.numpy as jnp
from jax.scipy.special import logit

from ae_jax.core.distributions import Bernoulli
from ae_jax.models import likelihoods

# The mean of a pixel is clipped to [_LEAST, 1 - _LEAST]. Pixels that are always black would have infinite logits.
_LEAST = 1e-3


class Likelihood(likelihoods.Likelihood):
    """Map logits [S, B, *shape] to a Bernoulli distribution of every pixel.

    Args:
      spec: the shape and kind of one example.
      centred: whether the decoder's outputs are added to the logits of the mean training image. Training then starts
        as if these were the biases of the last layer (the published code of Burda et al. 2016, arXiv:1509.00519).
    """

    centred: bool = False

    support = (0, 1)

    @property
    def needs_mean(self) -> bool:
        """Tell whether the likelihood starts from the mean training example."""
        return self.centred

    @nn.compact
    def __call__(self, outputs, batch, train: bool = False) -> Bernoulli:
        """Return the distribution over x, batch shape [S, B].

        Args:
          outputs: logits [S, B, *shape].
          batch: only "mean", or "x" without it, is read, and only to initialise a centred likelihood.
          train: not read.
        """

        def mean_logits():
            mean = batch.get("mean", batch["x"]).mean(axis=0)
            return logit(jnp.clip(mean, _LEAST, 1 - _LEAST))

        if self.centred:
            # A variable and not a parameter: the optimiser must not move it, and checkpoints must keep it.
            offset = self.variable("statistics", "offset", mean_logits)
            outputs += offset.value[None, None]
        return Bernoulli(outputs, event_ndims=len(self.spec.shape))
