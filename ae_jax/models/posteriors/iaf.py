"""A diagonal normal posterior transformed by inverse autoregressive flows (IAF).

Kingma et al. 2016, "Improved variational inference with inverse autoregressive flow", arXiv:1606.04934.
"""

import flax.linen as nn

from ae_jax.core.flows import Autoregressive, Transformed, check_hidden
from ae_jax.core.forms import Size
from ae_jax.models import posteriors
from ae_jax.models.nets import words
from ae_jax.models.posteriors import diagonal_normal


class Posterior(posteriors.Posterior):
    """Map features [B, F] to a Transformed distribution, batch shape [B], event [latent_dim].

    Args:
      latent_dim: the size of a latent.
      flows: the number of flows.
      flow_hidden: the number of hidden units of each flow's network.
      kernel_init: the initialiser of the dense layers.
    """

    flows: Size = 2
    flow_hidden: Size = 128
    kernel_init: str = "lecun_normal"

    @nn.compact
    def __call__(self, features) -> Transformed:
        """Return q(z|x) for features [B, F]."""
        check_hidden(self.flow_hidden, self.latent_dim)
        init, size = words.initializer(self.kernel_init), self.latent_dim

        def dense(width, name):
            return nn.Dense(width, kernel_init=init, name=name)(features)

        base = diagonal_normal.Posterior(size, kernel_init=self.kernel_init, name="base")(features)
        flows = []
        for number in range(self.flows):
            context, bias = dense(self.flow_hidden, f"context_{number}"), dense(2 * size, f"bias_{number}")
            inward = self.param(f"inward_{number}", init, (size, self.flow_hidden))
            outward = self.param(f"outward_{number}", init, (self.flow_hidden, 2 * size))
            flows.append(Autoregressive(context, bias, inward, outward))
        return Transformed(base, tuple(flows))
