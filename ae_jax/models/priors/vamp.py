"""VampPrior: the mixture of the posteriors of inputs that are learned. Tomczak and Welling 2018, arXiv:1705.07120."""

import flax.linen as nn
import jax.numpy as jnp

from ae_jax.core.distributions import Normal, PosteriorMixture
from ae_jax.core.errors import UserError
from ae_jax.models import priors


class Prior(priors.Prior):
    """Answers a PosteriorMixture of `components` inputs, drawn uniformly from [0, 1] at first; pixels stay in there.

    posterior_of: x [K, *spec.shape] -> Normal, batch shape [K].
    """

    components: int = 100

    reads_posterior = True

    @nn.compact
    def __call__(self, posterior_of=None, spec=None) -> PosteriorMixture:
        if posterior_of is None:
            raise UserError("prior 'vamp' is for a plain VAE, whose encoder reads x alone\ntry model.prior=mixture")
        if spec.kind == "events":
            raise UserError("prior 'vamp' learns its inputs, and events have no gradient\ntry model.prior=mixture")
        inputs = self.param("inputs", nn.initializers.uniform(1.0), (self.components, *spec.shape))
        q = posterior_of(jnp.clip(inputs, 0, 1) if spec.kind == "pixels" else inputs)
        if not isinstance(q, Normal):
            raise UserError("prior 'vamp' needs a normal posterior\ntry model.posterior=diagonal_normal")
        return PosteriorMixture(jnp.zeros(self.components), q.loc, q.log_scale)
