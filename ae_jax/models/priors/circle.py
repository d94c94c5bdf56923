"""A mixture of normal distributions whose means lie on a circle.

It is the 2-D prior of Makhzani et al. 2016, arXiv:1511.05644, figure 5.
"""

import jax.numpy as jnp

from ae_jax.core.distributions import NormalMixture
from ae_jax.core.errors import UserError
from ae_jax.core.forms import Size
from ae_jax.models import priors


class Prior(priors.Prior):
    """Return a NormalMixture of equal components whose means lie evenly on a circle.

    Args:
      latent_dim: must be 2.
      modes: the number of components.
      radius: the distance of the components' means from the origin.
      spread: the standard deviation of each component.
    """

    modes: Size = 10
    radius: float = 4.0
    spread: float = 0.5

    def __call__(self) -> NormalMixture:
        """Return the prior. Raise UserError unless the latent is 2-D and `spread` is positive."""
        if self.latent_dim != 2:
            raise UserError(f"prior 'circle' lies in the plane, and model.latent_dim is {self.latent_dim}\nexpected 2")
        if not self.spread > 0:
            raise UserError(f"model.spread is {self.spread!r}\nexpected a positive standard deviation")
        angle = 2 * jnp.pi * jnp.arange(self.modes) / self.modes
        loc = self.radius * jnp.stack([jnp.cos(angle), jnp.sin(angle)], axis=1)
        return NormalMixture(jnp.zeros(self.modes), loc, jnp.full_like(loc, jnp.log(self.spread)))
