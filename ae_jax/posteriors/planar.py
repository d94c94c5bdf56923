"""A diagonal normal distribution bent by planar flows: Rezende and Mohamed 2015, arXiv:1505.05770, section 4.1."""

import flax.linen as nn
import jax.numpy as jnp

from ae_jax.flows import Planar, Transformed
from ae_jax.nets import words
from ae_jax.posteriors import diagonal_normal


class Posterior(nn.Module):
    """Features [B, F] -> Transformed, batch shape [B], event [latent_dim]; `flows` of them, all predicted from x."""

    latent_dim: int
    flows: int = 8
    kernel_init: str = "lecun_normal"

    @nn.compact
    def __call__(self, features) -> Transformed:
        base = diagonal_normal.Posterior(self.latent_dim, kernel_init=self.kernel_init, name="base")(features)
        size, init = 2 * self.latent_dim + 1, words.initializer(self.kernel_init)
        predicted = nn.Dense(self.flows * size, kernel_init=init, name="flows")(features)
        parts = jnp.split(predicted, self.flows, axis=-1)
        splits = [jnp.split(part, (self.latent_dim, 2 * self.latent_dim), axis=-1) for part in parts]
        return Transformed(base, tuple(Planar(*split) for split in splits))
