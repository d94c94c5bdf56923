"""N(0, I)."""

import flax.linen as nn

from ae_jax.core.distributions import Normal, standard_normal


class Prior(nn.Module):
    """Answers a Normal with empty batch shape over [latent_dim]."""

    latent_dim: int

    def __call__(self) -> Normal:
        return standard_normal((self.latent_dim,))
