"""Bernoulli pixels from logits. On grey levels this is the cross-entropy loss, a surrogate, not a density."""

import flax.linen as nn
import jax.numpy as jnp
from jax.scipy.special import logit

from ae_jax.core.distributions import Bernoulli
from ae_jax.models import likelihoods

_LEAST = 1e-3  # what the mean of a pixel is kept away from 0 and 1 by


class Likelihood(likelihoods.Likelihood):
    """Decoder outputs [S, B, *shape] are the logits.

    centred: whether they are added to the logits of the mean training image, so that the last layer's biases start as
        if they were these (Burda et al. 2016, arXiv:1509.00519, in their code).
    """

    centred: bool = False

    support = (0, 1)

    @property
    def needs_mean(self) -> bool:
        return self.centred

    @nn.compact
    def __call__(self, outputs, batch, train: bool = False) -> Bernoulli:
        if self.centred:
            mean = lambda: batch.get("mean", batch["x"]).mean(axis=0)
            offset = self.variable("statistics", "offset", lambda: logit(jnp.clip(mean(), _LEAST, 1 - _LEAST)))
            outputs += offset.value[None, None]
        return Bernoulli(outputs, event_ndims=len(self.spec.shape))
