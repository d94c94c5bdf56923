"""VampPrior: a mixture of the posteriors of learned pseudo-inputs.

Tomczak and Welling 2018, "VAE with a VampPrior", arXiv:1705.07120.
"""

import flax.linen as nn
import jax.numpy as jnp

from ae_jax.core.distributions import Normal, PosteriorMixture
from ae_jax.core.errors import UserError
from ae_jax.core.forms import Size
from ae_jax.models import priors


class Prior(priors.Prior):
    """Return the equally weighted mixture of the posteriors of `components` pseudo-inputs.

    The pseudo-inputs are drawn uniformly from [0, 1] at first. Those of pixels are kept in [0, 1].

    Args:
      latent_dim: the size of a latent.
      components: the number of pseudo-inputs.
    """

    components: Size = 100

    reads_posterior = True

    @nn.compact
    def __call__(self, posterior_of=None, spec=None) -> PosteriorMixture:
        """Return the prior.

        Args:
          posterior_of: function x [K, *spec.shape] -> Normal, batch shape [K].
          spec: what one example looks like.

        Raises:
          UserError: for a model that has no such function, for events, and for a posterior that is not normal.
        """
        if posterior_of is None:
            raise UserError("prior 'vamp' is for a plain VAE, whose encoder reads x alone\ntry model.prior=mixture")
        if spec.kind == "events":
            raise UserError("prior 'vamp' learns its inputs, and events have no gradient\ntry model.prior=mixture")
        inputs = self.param("inputs", nn.initializers.uniform(1.0), (self.components, *spec.shape))
        q = posterior_of(jnp.clip(inputs, 0, 1) if spec.kind == "pixels" else inputs)
        if not isinstance(q, Normal):
            raise UserError("prior 'vamp' needs a normal posterior\ntry model.posterior=diagonal_normal")
        return PosteriorMixture(jnp.zeros(self.components), q.loc, q.log_scale)
