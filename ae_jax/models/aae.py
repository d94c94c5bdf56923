"""The adversarial autoencoder: a critic makes the distribution of latents match the prior.

Makhzani et al. 2016, "Adversarial autoencoders", arXiv:1511.05644.
"""

from collections.abc import Callable, Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from ae_jax.core.distributions import NormalMixture, softplus
from ae_jax.core.errors import UserError
from ae_jax.core.forms import Count, Sizes
from ae_jax.core.types import Batch, Outputs
from ae_jax.models import ae
from ae_jax.models.nets import mlp
from ae_jax.models.priors import standard_normal


class Critic(nn.Module):
    """Classify latents: return the log-odds that they were drawn from the prior.

    Args:
      hidden: the widths of the dense layers.
    """

    hidden: Sequence[int]

    @nn.compact
    def __call__(self, z, label):
        """Return log-odds [B].

        Args:
          z: latents [B, D].
          label: labels [B, L]; L is 0 for a critic that sees none.
        """
        h = mlp.Mlp(self.hidden)(jnp.concatenate([z, label], axis=-1))
        return nn.Dense(1)(h)[:, 0]


class Model(ae.Model):
    """Extend `ae.Model` by a critic and its two penalties, in nats.

    The critic's parameters minimise the penalty "critic", and all other parameters minimise "generator". Draws from the
    prior read the random stream "sampling", and in `generate` the stream "latent".

    Args:
      prior: a function from the length of a flat latent to a module of `ae_jax.models.priors`.
      critic_hidden: the widths of the critic's dense layers.
      labelled: whether the critic also sees the label, so that each class occupies one mode of the prior (section 2.3).
        Examples with labels below 0, which are unknown, may occupy any mode.
    """

    prior: Callable[[int], nn.Module] = standard_normal.Prior
    critic_hidden: Sizes = (512, 512)
    labelled: bool = False
    latent_dim: Count = 2

    def setup(self):
        """Make the autoencoder, the prior and the critic."""
        super().setup()
        self.p_z = self.prior(self.latent_size)
        self.critic = Critic(self.critic_hidden)

    def __call__(self, batch: Batch, *, num_samples: int = 1, train: bool = False, hparams=None) -> Outputs:
        """Encode batch["inputs"] and explain batch["x"]; the penalties are those of training alone."""
        outputs = super().__call__(batch, num_samples=num_samples, train=train, hparams=hparams)
        # While the parameters are initialised, the critic must be called, or it would have none.
        if not train and not self.is_initializing():
            return outputs
        real, real_label, label = self._draw(batch)
        of_prior, of_codes = self.critic(real, real_label), self.critic(outputs.code, label)
        # With D = sigmoid(log-odds), softplus(-log-odds) is -log D and softplus(log-odds) is -log(1 - D). The generator
        # minimises the non-saturating -log D, whose gradient does not vanish where the critic is certain.
        penalties = {"critic": softplus(-of_prior) + softplus(of_codes), "generator": softplus(-of_codes)}
        return outputs.replace(penalties=penalties)

    def _draw(self, batch):
        """Draw from the prior, and make the labels that the critic sees.

        Returns:
          Draws [B, D], their labels [B, K + 1], and the labels of the batch's examples [B, K + 1]. The last class is
          "unknown". The labels are [B, 0] for a critic that sees none.
        """
        key, prior, count = self.make_rng("sampling"), self.p_z(), len(batch["mask"])
        if not self.labelled:
            return prior.sample(key, count), jnp.zeros((count, 0)), jnp.zeros((count, 0))
        modes = len(prior.loc) if isinstance(prior, NormalMixture) else 1
        if modes != self.spec.classes:
            raise UserError(
                f"model.labelled=True needs a prior with a mode for each of {self.spec.classes} classes, not {modes}\n"
                "try model.prior=circle on data with ten classes"
            )
        key_mode, key_noise = jax.random.split(key)
        known = batch["label"] >= 0
        mode = jax.random.randint(key_mode, (count,), 0, modes)
        noise = jax.random.normal(key_noise, (count, self.latent_size))
        draws = prior.loc[mode] + jnp.exp(prior.log_scale[mode]) * noise
        # As many draws are unlabelled as there are unlabelled examples. Otherwise the critic could tell draws from
        # latents by the share of unknown labels.
        real_label, label = (jnp.where(known, classes, modes) for classes in (mode, batch["label"]))
        return draws, jax.nn.one_hot(real_label, modes + 1), jax.nn.one_hot(label, modes + 1)

    def prior_of(self, batch: Batch):
        """Return p(z), batch shape []."""
        return self.p_z()

    def generate(self, batch: Batch):
        """Return p(x | z) at latents drawn from the prior, batch shape [1, B].

        Args:
          batch: "mask" [B] tells how many latents to draw.
        """
        z = self.p_z().sample(self.make_rng("latent"), len(batch["mask"]))
        return self.decode((z[None],), batch)
