"""The uniform prior of categorical latents: all classes of a choice are equally probable."""

import jax.numpy as jnp

from ae_jax.core.discrete import OneHot
from ae_jax.core.forms import Size
from ae_jax.models import priors


class Prior(priors.Prior):
    """Return independent uniform choices, one-hot, for a posterior of discrete choices.

    Args:
      latent_dim: the number of choices.
      classes: the number of classes of each choice.
    """

    classes: Size = 10

    is_discrete = True

    def __call__(self) -> OneHot:
        """Return the prior."""
        return OneHot(jnp.zeros((self.latent_dim, self.classes)))
