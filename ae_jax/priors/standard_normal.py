"""N(0, I)."""

import flax.linen as nn
import jax.numpy as jnp

from ae_jax.distributions import Normal


class Prior(nn.Module):
    """Answers a Normal with empty batch shape over [latent_dim]."""

    latent_dim: int

    def __call__(self) -> Normal:
        return Normal(jnp.zeros(self.latent_dim), jnp.zeros(self.latent_dim))
