"""Bernoulli pixels from logits. On grey levels this is the cross-entropy loss, a surrogate, not a density."""

import flax.linen as nn

from ae_jax.distributions import Bernoulli
from ae_jax.types import DataSpec


class Likelihood(nn.Module):
    """Decoder outputs [S, B, *shape] are the logits."""

    spec: DataSpec

    outputs_per_value = 1
    needs_dequantised = False

    def __call__(self, outputs, batch, train: bool = False) -> Bernoulli:
        return Bernoulli(outputs, event_ndims=len(self.spec.shape))
