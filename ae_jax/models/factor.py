"""FactorVAE: a critic estimates the total correlation, which the encoder reduces.

Kim and Mnih 2018, "Disentangling by factorising", arXiv:1802.05983.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from ae_jax.core.distributions import softplus
from ae_jax.core.forms import Sizes
from ae_jax.core.types import Batch, Outputs
from ae_jax.models import vae
from ae_jax.models.nets import mlp


class Critic(nn.Module):
    """Classify latents: log-odds of q(z) against the product of its marginals.

    Args:
      hidden: the widths of the dense layers.
    """

    hidden: Sizes

    @nn.compact
    def __call__(self, z):
        """Return log-odds [B] of latents [B, D]."""
        return nn.Dense(1)(mlp.Mlp(self.hidden, activation="leaky_relu")(z))[:, 0]


class Model(vae.Model):
    """Extend `vae.Model` by a critic and two penalties, in nats.

    The first half of the batch gives latents, for the encoder and for the critic. The second half gives the latents
    that are permuted (algorithm 2). The critic's parameters minimise the penalty "critic", and all other parameters
    minimise "total_correlation", whose weight is the paper's gamma. Permutations read the random stream "sampling".

    Args:
      critic_hidden: the widths of the critic's dense layers.
    """

    critic_hidden: Sizes = (1000, 1000, 1000, 1000, 1000, 1000)

    def setup(self):
        """Make the VAE and the critic."""
        super().setup()
        self.critic = Critic(self.critic_hidden)

    def __call__(self, batch: Batch, *, num_samples: int = 1, train: bool = False, hparams=None) -> Outputs:
        """Encode batch["inputs"] and explain batch["x"]; the penalties are those of training alone."""
        outputs = super().__call__(batch, num_samples=num_samples, train=train, hparams=hparams)
        # While the parameters are initialised, the critic must be called, or it would have none.
        if not train and not self.is_initializing():
            return outputs
        z = outputs.latents[-1].sample[0]
        # Different examples for the two samples, as the paper takes two batches: then the critic cannot recognise one
        # sample by the other.
        half = (len(z) + 1) // 2
        joint = self.critic(z[:half])
        product = self.critic(permute_dimensions(self.make_rng("sampling"), z[half:]))
        first, second = _shares(jnp.asarray(batch["mask"]), half)
        penalties = {
            "total_correlation": jnp.concatenate([joint * first, jnp.zeros_like(product)]),
            "critic": jnp.concatenate([softplus(-joint) * first, softplus(product) * second]),
        }
        return outputs.replace(penalties=penalties)


def _shares(mask, half: int):
    """Return the weights by which a mean over the batch is the mean over one half."""
    first, second = mask[:half].sum(), mask[half:].sum()
    # In a padded batch, the second half may have no example at all.
    return mask.sum() / jnp.maximum(first, 1), mask.sum() / jnp.maximum(second, 1)


def permute_dimensions(key, z):
    """Permute each dimension of latents [B, D] over the batch, independently of the others."""
    return jax.random.permutation(key, z, axis=0, independent=True)
