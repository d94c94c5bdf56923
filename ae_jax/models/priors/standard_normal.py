"""The standard normal prior N(0, I)."""

from ae_jax.core.distributions import Normal, standard_normal
from ae_jax.models import priors


class Prior(priors.Prior):
    """Return N(0, I) over [latent_dim].

    Args:
      latent_dim: the size of a latent.
    """

    def __call__(self) -> Normal:
        """Return the prior."""
        return standard_normal((self.latent_dim,))
