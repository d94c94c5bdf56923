"""The adversarial autoencoder: a critic makes the codes of all examples together look like draws from the prior.

Makhzani et al. 2016, "Adversarial autoencoders", arXiv:1511.05644.
"""

from collections.abc import Callable, Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from ae_jax.core.distributions import NormalMixture, softplus
from ae_jax.core.errors import UserError
from ae_jax.core.types import Batch, Outputs
from ae_jax.models import ae
from ae_jax.models.nets import mlp
from ae_jax.models.priors import standard_normal


class Critic(nn.Module):
    """Codes [B, D] (and labels [B, L]) -> log-odds [B] that they came from the prior."""

    hidden: Sequence[int]

    @nn.compact
    def __call__(self, z, label):
        return nn.Dense(1)(mlp.Mlp(self.hidden)(jnp.concatenate([z, label], axis=-1)))[:, 0]


class Model(ae.Model):
    """As `ae.Model`, with two penalties in nats: "critic", which the critic's parameters minimise, and
    "generator", which all others do. Reads the random streams "sampling" (the prior) and "latent" (in `generate`).

    labelled: whether the critic sees the label too, so that each class settles on a mode of its own (section 2.3).
        Labels below 0 are unknown: those examples may settle on any mode.
    """

    prior: Callable[[int], nn.Module] = standard_normal.Prior
    critic_hidden: Sequence[int] = (512, 512)
    labelled: bool = False
    latent_dim: int = 2

    def setup(self):
        super().setup()
        self.p_z = self.prior(self.latent_size)
        self.critic = Critic(self.critic_hidden)

    def __call__(self, batch: Batch, *, num_samples: int = 1, train: bool = False, hparams=None) -> Outputs:
        outputs = super().__call__(batch, num_samples=num_samples, train=train, hparams=hparams)
        if not train and not self.is_initializing():
            return outputs
        real, real_label, label = self._draw(batch)
        of_prior, of_codes = self.critic(real, real_label), self.critic(outputs.code, label)
        # -log D(z) for draws of the prior, -log(1 - D(z)) for codes; the generator's is the non-saturating -log D(z).
        penalties = {"critic": softplus(-of_prior) + softplus(of_codes), "generator": softplus(-of_codes)}
        return outputs.replace(penalties=penalties)

    def _draw(self, batch):
        """Draws of the prior [B, D], and the labels [B, K + 1] that the critic sees beside them and the codes."""
        key, prior, count = self.make_rng("sampling"), self.p_z(), len(batch["mask"])
        if not self.labelled:
            return prior.sample(key, count), jnp.zeros((count, 0)), jnp.zeros((count, 0))
        modes = len(prior.loc) if isinstance(prior, NormalMixture) else 1
        if modes != self.spec.classes:
            raise UserError(
                f"model.labelled gives each of {self.spec.classes} classes a mode of the prior, which has {modes}\n"
                "try model.prior=circle on data of ten classes"
            )
        key_mode, key_noise = jax.random.split(key)
        known = batch["label"] >= 0
        # As many draws go without a label as there are examples without one.
        mode = jax.random.randint(key_mode, (count,), 0, modes)
        noise = jax.random.normal(key_noise, (count, self.latent_size))
        draws = prior.loc[mode] + jnp.exp(prior.log_scale[mode]) * noise
        one_hot = lambda label: jax.nn.one_hot(jnp.where(known, label, modes), modes + 1)
        return draws, one_hot(mode), one_hot(batch["label"])

    def prior_of(self, batch: Batch):
        """Return p(z), batch shape []."""
        return self.p_z()

    def generate(self, batch: Batch):
        """As many examples as batch["mask"] [B] is long, from codes drawn from the prior: batch shape [1, B]."""
        return self.decode((self.p_z().sample(self.make_rng("latent"), len(batch["mask"]))[None],), batch)
