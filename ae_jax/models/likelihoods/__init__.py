"""Likelihoods p(x|z), one a file: `Likelihood`, a module from decoder outputs to a distribution over x."""

import flax.linen as nn

from ae_jax.core.types import DataSpec


class Likelihood(nn.Module):
    """What is so unless a likelihood says otherwise."""

    spec: DataSpec

    needs_dequantised = False  # whether pixels must be dequantised lest the density grow without bound
    needs_mean = False  # whether it starts from the mean training example, which is then batch["mean"] when it is made

    @property
    def output_shape(self) -> tuple[int, ...]:
        """The shape of what the decoder gives for an example."""
        return tuple(self.spec.shape)
