"""A diagonal normal distribution after inverse autoregressive flows: Kingma et al. 2016, arXiv:1606.04934."""

import flax.linen as nn

from ae_jax.core.flows import Autoregressive, Transformed
from ae_jax.models import posteriors
from ae_jax.models.nets import words
from ae_jax.models.posteriors import diagonal_normal


class Posterior(posteriors.Posterior):
    """Features [B, F] -> Transformed, batch shape [B], event [latent_dim], by `flows` of `flow_hidden` units each."""

    flows: int = 2
    flow_hidden: int = 128
    kernel_init: str = "lecun_normal"

    @nn.compact
    def __call__(self, features) -> Transformed:
        init, size = words.initializer(self.kernel_init), self.latent_dim
        dense = lambda width, name: nn.Dense(width, kernel_init=init, name=name)(features)
        base = diagonal_normal.Posterior(size, kernel_init=self.kernel_init, name="base")(features)
        flows = []
        for number in range(self.flows):
            context, bias = dense(self.flow_hidden, f"context_{number}"), dense(2 * size, f"bias_{number}")
            inward = self.param(f"inward_{number}", init, (size, self.flow_hidden))
            outward = self.param(f"outward_{number}", init, (self.flow_hidden, 2 * size))
            flows.append(Autoregressive(context, bias, inward, outward))
        return Transformed(base, tuple(flows))
