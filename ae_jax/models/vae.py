"""The variational autoencoder: z_mean and z_log_sigma, reparameterised samples, a prior.

Kingma and Welling 2014, "Auto-encoding variational Bayes", arXiv:1312.6114.
"""

from collections.abc import Callable

import flax.linen as nn
import jax

from ae_jax.core.errors import UserError
from ae_jax.core.types import Batch, Latent
from ae_jax.models import ae, priors
from ae_jax.models.posteriors import diagonal_normal
from ae_jax.models.priors import standard_normal


class Model(ae.Model):
    """As `ae.Model`, with a random code. Reads the random stream "latent".

    posterior: latent_dim -> module of `ae_jax.models.posteriors`.
    prior: latent_dim -> module of `ae_jax.models.priors`.
    """

    posterior: Callable[[int], nn.Module] = diagonal_normal.Posterior
    prior: Callable[[int], priors.Prior] = standard_normal.Prior
    latent_dim: int = 2

    roles = {"q_z": "encoder"}  # where encoder and decoder have objectives of their own
    # Whether q(z|x) is over the prior's latents and reads x alone, so that a prior may be made of posteriors.
    gives_posterior = True

    @property
    def encoder_is_apart(self) -> bool:
        """Tell whether no part of the encoder also serves the prior."""
        return not (self.gives_posterior and self._new_prior().reads_posterior)

    @property
    def standard_prior(self) -> bool:
        """Tell whether the prior of the layer next to the data is N(0, I)."""
        return isinstance(self._new_prior(), standard_normal.Prior) and not self.conditional_prior

    @nn.nowrap
    def _new_prior(self) -> priors.Prior:
        """Make the prior's module, outside of `setup`, to read what holds of it."""
        return self.prior(self.prior_dim)

    def setup(self):
        if self.latent_dim < 1:
            raise UserError(f"model.latent_dim is {self.latent_dim}\nexpected at least 1: a random code has a size")
        if self.code_activation != "identity":
            raise UserError(f"model.code_activation={self.code_activation!r} is read by nothing: this code is random")
        self._places()
        self.p_x = self.likelihood(self.spec)
        self.q_z = self.posterior(self.latent_dim)
        if self.spatial and not isinstance(self.q_z, diagonal_normal.Posterior):
            raise UserError("model.spatial needs a posterior for each place\ntry model.posterior=diagonal_normal")
        self.p_z = self.prior(self.prior_dim)

    @property
    def prior_dim(self) -> int:
        """The size of the codes that the prior is of."""
        return self.latent_size

    def encode(self, batch: Batch, num_samples: int = 1) -> tuple[Latent, ...]:
        """batch["inputs"] [B, *shape] -> samples [S, B, D] with their densities under q(z|x) and p(z)."""
        latent, prior = self.infer(batch, num_samples), self.prior_of(batch)
        return (latent.replace(prior=prior, log_p=prior.log_prob(latent.sample)),)

    def infer(self, batch: Batch, num_samples: int) -> Latent:
        """q(z|x) with its samples and their densities, and no prior yet."""
        posterior = self.q_z(self.features(batch))
        # z = z_mean + exp(z_log_sigma) * epsilon
        z, log_q = posterior.sample_and_log_prob(self.make_rng("latent"), num_samples)
        return Latent(z, posterior, log_q=log_q, log_q_path=jax.lax.stop_gradient(posterior).log_prob(z))

    def prior_of(self, batch: Batch):
        """p(z), batch shape [] or [B]."""
        if self.gives_posterior and self.p_z.reads_posterior:
            return self.p_z(lambda inputs: self.q_z(self.features({**batch, "inputs": inputs})), self.spec)
        return self.p_z()

    def code(self, latents):
        """[B, D]: the posterior means."""
        return latents[-1].posterior.mean

    def prior_codes(self, batch: Batch) -> tuple:
        """Codes of as many examples as batch["mask"] [B] is long, drawn from the prior, one array [1, B, D] a layer."""
        prior, count = self.prior_of(batch), len(batch["mask"])
        z = prior.sample(self.make_rng("latent"), count if prior.mean.ndim == 1 else 1)
        return (z.reshape(1, count, -1),)

    def generate(self, batch: Batch):
        """As many examples as batch["mask"] [B] is long, from codes drawn from the prior: batch shape [1, B]."""
        return self.decode(self.prior_codes(batch), batch)

    def log_joint(self, samples: tuple, batch: Batch):
        """log p(x, z) [S, B] at any codes, one array [S, B, D] a layer."""
        return self.prior_of(batch).log_prob(samples[-1]) + self.decode(samples, batch).log_prob(batch["x"][None])
