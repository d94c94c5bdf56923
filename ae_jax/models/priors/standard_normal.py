"""N(0, I)."""

from ae_jax.core.distributions import Normal, standard_normal
from ae_jax.models import priors


class Prior(priors.Prior):
    """Answers a Normal with empty batch shape over [latent_dim]."""

    def __call__(self) -> Normal:
        return standard_normal((self.latent_dim,))
