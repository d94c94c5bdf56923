"""Likelihoods p(x|z), one per file: `Likelihood`, from decoder outputs to a distribution."""

import math

import flax.linen as nn

from ae_jax.core.types import DataSpec


class Likelihood(nn.Module):
    """Base class of likelihoods, with the defaults of everything that a likelihood may declare.

    A likelihood is called as `likelihood(outputs, batch, train)` with decoder outputs [S, B, *output_shape]. It returns
    a distribution over batch["x"], batch shape [S, B].

    Args:
      spec: the shape and kind of one example.
    """

    spec: DataSpec

    # The least and the greatest value of x, as models see it, that has a likelihood. Pixels are in [0, 1] and events in
    # [0, levels - 1]. By default all finite numbers have a likelihood.
    support = (-math.inf, math.inf)
    # Whether pixels must be dequantised, because a density of discrete values could grow without bound.
    needs_dequantised = False
    # Whether the likelihood starts from the mean training example, which `init` then receives as batch["mean"].
    needs_mean = False

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Return the shape of the decoder's outputs for one example."""
        return tuple(self.spec.shape)
