"""Likelihoods p(x|z), one a file: `Likelihood`, a module from decoder outputs to a distribution over x."""

import math

import flax.linen as nn

from ae_jax.core.types import DataSpec


class Likelihood(nn.Module):
    """What is so unless a likelihood says otherwise."""

    spec: DataSpec

    # The least and the greatest value of x, as models see it, that has a likelihood: pixels are in [0, 1], events in
    # [0, levels - 1]. By default all finite numbers have one.
    support = (-math.inf, math.inf)
    needs_dequantised = False  # whether pixels must be dequantised lest the density grow without bound
    needs_mean = False  # whether it starts from the mean training example, which is then batch["mean"] when it is made

    @property
    def output_shape(self) -> tuple[int, ...]:
        """The shape of what the decoder gives for an example."""
        return tuple(self.spec.shape)
