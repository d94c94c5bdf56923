"""A diagonal normal posterior transformed by planar flows.

Rezende and Mohamed 2015, "Variational inference with normalizing flows", arXiv:1505.05770, section 4.1.
"""

import itertools

import flax.linen as nn
import jax.numpy as jnp

from ae_jax.core.flows import Planar, Transformed
from ae_jax.core.forms import Size
from ae_jax.models import posteriors
from ae_jax.models.nets import words
from ae_jax.models.posteriors import diagonal_normal


class Posterior(posteriors.Posterior):
    """Map features [B, F] to a Transformed distribution, batch shape [B], event [latent_dim].

    The parameters of all flows are predicted from the features.

    Args:
      latent_dim: the size of a latent.
      flows: the number of flows.
      kernel_init: the initialiser of the dense layers.
    """

    flows: Size = 8
    kernel_init: str = "lecun_normal"

    flow = Planar

    @nn.compact
    def __call__(self, features) -> Transformed:
        """Return q(z|x) for features [B, F]."""
        base = diagonal_normal.Posterior(self.latent_dim, kernel_init=self.kernel_init, name="base")(features)
        sizes, init = self.flow.sizes(self.latent_dim), words.initializer(self.kernel_init)
        predicted = nn.Dense(self.flows * sum(sizes), kernel_init=init, name="flows")(features)
        ends = list(itertools.accumulate(sizes))[:-1]
        parts = [jnp.split(part, ends, axis=-1) for part in jnp.split(predicted, self.flows, axis=-1)]
        return Transformed(base, tuple(self.flow(*part) for part in parts))
