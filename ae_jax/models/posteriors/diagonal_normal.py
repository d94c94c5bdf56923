"""The diagonal normal posterior N(z_mean(x), diag(exp(z_log_sigma(x))^2)).

Kingma and Welling 2014, "Auto-encoding variational Bayes", arXiv:1312.6114, appendix C.
"""

import math

import flax.linen as nn
import jax.numpy as jnp

from ae_jax.core.distributions import Normal
from ae_jax.models import posteriors
from ae_jax.models.nets import words


class Posterior(posteriors.Posterior):
    """Map features [B, F], or images [B, h, w, F], to a Normal, batch shape [B].

    Args:
      latent_dim: the size of a latent; of images, the numbers for each place.
      shared_scale: whether all inputs share one log standard deviation per dimension, as in a linear VAE.
      kernel_init: the initialiser of the dense layers.
      min_log_scale: the lower bound of log standard deviations.
    """

    shared_scale: bool = False
    kernel_init: str = "lecun_normal"
    min_log_scale: float = -math.inf

    @nn.compact
    def __call__(self, features) -> Normal:
        """Return q(z|x) for features [B, F] or [B, h, w, F]."""
        init = words.initializer(self.kernel_init)
        z_mean = nn.Dense(self.latent_dim, kernel_init=init, name="z_mean")(features)
        if self.shared_scale:
            shared = self.param("z_log_sigma", nn.initializers.zeros, (self.latent_dim,))
            z_log_sigma = jnp.broadcast_to(shared, z_mean.shape)
        else:
            z_log_sigma = nn.Dense(self.latent_dim, kernel_init=init, name="z_log_sigma")(features)
        if math.isfinite(self.min_log_scale):
            z_log_sigma = jnp.maximum(z_log_sigma, self.min_log_scale)
        if features.ndim == 4:
            # A latent at each place of an image is one flat vector.
            z_mean, z_log_sigma = (values.reshape(len(values), -1) for values in (z_mean, z_log_sigma))
        return Normal(z_mean, z_log_sigma)
