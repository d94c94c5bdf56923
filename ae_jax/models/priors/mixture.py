"""A mixture of normal distributions with diagonal covariances, whose parameters are learned.

Dilokthanakul et al. 2016, arXiv:1611.02648, and the "MoG" prior of Tomczak and Welling 2018, arXiv:1705.07120.
"""

import flax.linen as nn

from ae_jax.core.distributions import NormalMixture
from ae_jax.core.forms import Size
from ae_jax.models import priors


class Prior(priors.Prior):
    """Return a NormalMixture with learned parameters.

    At first the weights are equal, the scales are one, and the means are drawn from N(0, I).

    Args:
      latent_dim: the size of a latent.
      components: the number of components.
    """

    components: Size = 10

    @nn.compact
    def __call__(self) -> NormalMixture:
        """Return the prior."""
        shape = (self.components, self.latent_dim)
        logits = self.param("logits", nn.initializers.zeros, (self.components,))
        loc = self.param("loc", nn.initializers.normal(1.0), shape)
        return NormalMixture(logits, loc, self.param("log_scale", nn.initializers.zeros, shape))
