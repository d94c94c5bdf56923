"""A masked autoregressive flow as a prior.

Papamakarios et al. 2017, arXiv:1705.07057; as a prior, Chen et al. 2017, arXiv:1611.02731.

It is an inverse autoregressive flow in the opposite direction. The density of any latent is exact and takes one pass
through the networks; a draw takes as many passes as the latent has dimensions.
"""

import flax.linen as nn

from ae_jax.core.distributions import standard_normal
from ae_jax.core.flows import Autoregressive, Inverse, Transformed, check_hidden
from ae_jax.core.forms import Size
from ae_jax.models import priors


class Prior(priors.Prior):
    """Return a normal distribution transformed by autoregressive flows.

    Args:
      latent_dim: the size of a latent.
      flows: the number of flows.
      flow_hidden: the number of hidden units of each flow's network.
    """

    flows: Size = 2
    flow_hidden: Size = 128

    @nn.compact
    def __call__(self) -> Transformed:
        """Return the prior."""
        check_hidden(self.flow_hidden, self.latent_dim)
        init, zeros, size = nn.initializers.lecun_normal(), nn.initializers.zeros, self.latent_dim
        flows = []
        for number in range(self.flows):
            context = self.param(f"context_{number}", zeros, (self.flow_hidden,))
            bias = self.param(f"bias_{number}", zeros, (2 * size,))
            inward = self.param(f"inward_{number}", init, (size, self.flow_hidden))
            outward = self.param(f"outward_{number}", init, (self.flow_hidden, 2 * size))
            flows.append(Inverse(Autoregressive(context, bias, inward, outward, gated=False)))
        return Transformed(standard_normal((size,)), tuple(flows))
