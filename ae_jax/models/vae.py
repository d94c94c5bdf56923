"""The variational autoencoder: z_mean and z_log_sigma, reparameterised samples, a prior.

Kingma and Welling 2014, "Auto-encoding variational Bayes", arXiv:1312.6114.
"""

from collections.abc import Callable

import flax.linen as nn

from ae_jax.errors import UserError
from ae_jax.models import ae
from ae_jax.posteriors import diagonal_normal
from ae_jax.priors import standard_normal
from ae_jax.types import Batch, Latent


class Model(ae.Model):
    """As `ae.Model`, with a random code. Reads the random stream "latent".

    posterior: latent_dim -> module of `ae_jax.posteriors`; prior: latent_dim -> module of `ae_jax.priors`.
    """

    posterior: Callable[[int], nn.Module] = diagonal_normal.Posterior
    prior: Callable[[int], nn.Module] = standard_normal.Prior
    latent_dim: int = 2

    def setup(self):
        if self.latent_dim < 1:
            raise UserError(f"model.latent_dim is {self.latent_dim}\nexpected at least 1: a random code has a size")
        if self.code_activation != "identity":
            raise UserError(f"model.code_activation={self.code_activation!r} is read by nothing: this code is random")
        self.p_x = self.likelihood(self.spec)
        self.q_z = self.posterior(self.latent_dim)
        self.p_z = self.prior(self.latent_dim)

    def encode(self, batch: Batch, num_samples: int = 1) -> tuple[Latent, ...]:
        """batch["inputs"] [B, *shape] -> samples [S, B, D] with their densities under q(z|x) and p(z)."""
        posterior, prior = self.q_z(self.features(batch)), self.prior_of(batch)
        # z = z_mean + exp(z_log_sigma) * epsilon
        z = posterior.sample(self.make_rng("latent"), num_samples)
        return (Latent(z, posterior, prior, posterior.log_prob(z), prior.log_prob(z)),)

    def prior_of(self, batch: Batch):
        """p(z), batch shape [] or [B]."""
        return self.p_z()

    def code(self, latents):
        """[B, D]: the posterior means."""
        return latents[-1].posterior.mean

    def generate(self, batch: Batch):
        """As many examples as batch["mask"] [B] is long, from codes drawn from the prior: batch shape [1, B]."""
        prior, count = self.prior_of(batch), len(batch["mask"])
        z = prior.sample(self.make_rng("latent"), count if prior.mean.ndim == 1 else 1)
        return self.decode((z.reshape(1, count, -1),), batch)
