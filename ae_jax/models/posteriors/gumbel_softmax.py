"""A categorical posterior with a continuous relaxation in training.

Jang et al. 2017, "Categorical reparameterization with Gumbel-softmax", arXiv:1611.01144.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from ae_jax.core import discrete, errors
from ae_jax.core.errors import UserError
from ae_jax.core.forms import Size
from ae_jax.models import posteriors
from ae_jax.models.nets import words

_TEMPERATURE = 1.0
_KINDS = ("discrete", "relaxed")


class Posterior(posteriors.Posterior):
    """Map features [B, F] to `latent_dim` one-hot choices among `classes` classes.

    In training the samples are relaxed, softmax((logits + Gumbel noise) / temperature). Everywhere else they are
    discrete, so that all that is reported is about the discrete model. The prior must have the same classes, as
    model.prior=uniform has.

    Args:
      latent_dim: the number of choices.
      classes: the number of classes of each choice.
      temperature: the temperature of relaxed samples, 1 by default.
      straight_through: whether training decodes the one-hot vector of the largest class, with the gradient of the
        relaxed sample.
      divergence: the KL divergence of training: "discrete", between the categorical distributions (Jang et al.), or
        "relaxed", estimated between the densities of the relaxed samples (Maddison et al. 2017, arXiv:1611.00712).
      kernel_init: the initialiser of the dense layer.

    Raises:
      UserError: for fewer than two classes or an unknown divergence.
    """

    classes: Size = 10
    straight_through: bool = False
    divergence: str = "discrete"
    kernel_init: str = "lecun_normal"

    varying = ("temperature",)
    is_discrete = True

    @nn.compact
    def __call__(self, features) -> discrete.OneHot:
        """Return q(z|x) for features [B, F]."""
        if self.classes < 2:
            raise UserError(f"model.classes={self.classes} leaves nothing to choose\nuse at least 2")
        if self.divergence not in _KINDS:
            raise errors.unknown("model.divergence", self.divergence, _KINDS)
        init = words.initializer(self.kernel_init)
        logits = nn.Dense(self.latent_dim * self.classes, kernel_init=init, name="logits")(features)
        return discrete.OneHot(logits.reshape(*logits.shape[:-1], self.latent_dim, self.classes))

    @nn.nowrap
    def in_training(self, latent, key, hparams):
        """Return the latent with relaxed samples."""
        temperature = hparams.get("temperature", _TEMPERATURE)
        count, logits = len(latent.sample), latent.posterior.logits
        log_y = discrete.relaxed_log_sample(key, logits, temperature, count)
        y = jnp.exp(log_y)
        if self.straight_through:
            y = y + jax.lax.stop_gradient(jax.nn.one_hot(y.argmax(axis=-1), self.classes) - y)
        latent = latent.replace(sample=y.reshape(latent.sample.shape))
        if self.divergence == "discrete":
            return latent
        log_q, log_p = (
            discrete.relaxed_log_prob(log_y, each, temperature).sum(axis=-1) for each in (logits, latent.prior.logits)
        )
        # Without distributions, the KL divergence is the mean of log q - log p over the samples.
        return latent.replace(posterior=None, prior=None, log_q=log_q, log_p=log_p, log_q_path=None)
