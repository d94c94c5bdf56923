"""The variational autoencoder (VAE): a random latent with a posterior and a prior.

Kingma and Welling 2014, "Auto-encoding variational Bayes", arXiv:1312.6114.
"""

from collections.abc import Callable

import flax.linen as nn
import jax

from ae_jax.core.errors import UserError
from ae_jax.core.forms import Count
from ae_jax.core.types import Batch, Latent, Outputs
from ae_jax.models import ae, priors
from ae_jax.models.posteriors import diagonal_normal
from ae_jax.models.priors import standard_normal


class Model(ae.Model):
    """Extend `ae.Model` by a random latent.

    Its samples are drawn from the random stream "latent".

    Args:
      posterior: a function from `latent_dim` to a module of `ae_jax.models.posteriors`, which makes q(z|x).
      prior: a function from the length of a flat latent to a module of `ae_jax.models.priors`, which makes p(z).
      latent_dim: D, the size of the latent, at least 1; with `spatial` the numbers for each place.
      code_activation: must be "identity", because a random latent has no activation.
    """

    posterior: Callable[[int], nn.Module] = diagonal_normal.Posterior
    prior: Callable[[int], priors.Prior] = standard_normal.Prior
    latent_dim: Count = 2

    # The posterior's parameters belong to the encoder, for objectives that train encoder and decoder separately.
    roles = {"q_z": "encoder"}
    # Whether q(z|x) is a distribution over the prior's latents and reads only x, so that a prior can be made of
    # posteriors.
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
        """Make a prior outside of `setup`, whose attributes tell what kind of prior it is."""
        return self.prior(self.prior_dim)

    def setup(self):
        """Check the fields, and make the likelihood, the posterior and the prior."""
        # This does not call `ae.Model.setup`, which would make the dense layer of a deterministic latent.
        if self.latent_dim < 1:
            raise UserError(f"model.latent_dim={self.latent_dim} leaves no random latent\nexpected at least 1")
        if self.code_activation != "identity":
            raise UserError(
                f"model.code_activation={self.code_activation!r} does not apply to a random latent\n"
                "use model.code_activation=identity"
            )
        self._places()  # for its check of the encoder
        self.p_x = self.likelihood(self.spec)
        self.q_z = self.posterior(self.latent_dim)
        if self.spatial and not isinstance(self.q_z, diagonal_normal.Posterior):
            raise UserError(
                "model.spatial=True needs a posterior that is independent at each place\n"
                "use model.posterior=diagonal_normal"
            )
        self.p_z = self.prior(self.prior_dim)
        self._check_kinds()

    def _check_kinds(self):
        """Raise UserError unless posterior and prior are both discrete or both continuous."""
        if self.q_z.is_discrete != self.p_z.is_discrete:
            raise UserError(
                "model.posterior and model.prior are not both of discrete latents\n"
                "use model.posterior=gumbel_softmax and model.prior=uniform together, or neither"
            )
        if self.q_z.is_discrete and not self.gives_posterior:
            raise UserError("discrete choices are for a model of one layer\nuse model.name=vae")

    def __call__(self, batch: Batch, *, num_samples: int = 1, train: bool = False, hparams=None) -> Outputs:
        """Encode batch["inputs"] and explain batch["x"]; see `ae_jax.models.base.Family`."""
        latents = self.encode(batch, num_samples)
        code = self.code(latents)
        if train and self.q_z.is_discrete:
            relaxed = self.q_z.in_training(latents[-1], self.make_rng("latent"), hparams or {})
            latents = (*latents[:-1], relaxed)
        likelihood = self.decode(tuple(latent.sample for latent in latents), batch, train)
        return Outputs(likelihood, latents, code)

    @property
    def prior_dim(self) -> int:
        """Return the size of the prior's latents."""
        return self.latent_size

    def encode(self, batch: Batch, num_samples: int = 1) -> tuple[Latent, ...]:
        """Return samples [S, B, D] of the posterior, with their log densities under q(z|x) and p(z).

        Args:
          batch: "inputs" [B, *shape] is read.
          num_samples: S, the number of samples for each example.
        """
        latent, prior = self.infer(batch, num_samples), self.prior_of(batch)
        return (latent.replace(prior=prior, log_p=prior.log_prob(latent.sample)),)

    def infer(self, batch: Batch, num_samples: int) -> Latent:
        """Return q(z|x) with samples [S, B, D] and their log densities, but without a prior.

        Args:
          batch: "inputs" [B, *shape] is read.
          num_samples: S, the number of samples for each example.
        """
        posterior = self.q_z(self.features(batch))
        # Samples are reparameterised, z = z_mean + exp(z_log_sigma) * epsilon, so that gradients pass through them.
        z, log_q = posterior.sample_and_log_prob(self.make_rng("latent"), num_samples)
        # This density has only the path derivative: its gradient reaches the posterior's parameters through z alone.
        log_q_path = jax.lax.stop_gradient(posterior).log_prob(z)
        return Latent(z, posterior, log_q=log_q, log_q_path=log_q_path)

    def prior_of(self, batch: Batch):
        """Return p(z), batch shape [].

        Args:
          batch: read by subclasses whose prior depends on it.
        """

        def posterior_of(inputs):
            return self.q_z(self.features({**batch, "inputs": inputs}))

        if self.gives_posterior and self.p_z.reads_posterior:
            return self.p_z(posterior_of, self.spec)
        return self.p_z()

    def code(self, latents):
        """Return the posterior means [B, D] of the layer next to the data.

        Args:
          latents: what `encode` returned.
        """
        return latents[-1].posterior.mean

    def prior_codes(self, batch: Batch) -> tuple:
        """Draw latents from the prior, one array [1, B, D] for each layer.

        Args:
          batch: "mask" [B] tells how many latents to draw.
        """
        prior, count = self.prior_of(batch), len(batch["mask"])
        # One draw from each of B priors, or B draws from the one prior.
        z = prior.sample(self.make_rng("latent"), count if prior.mean.ndim == 1 else 1)
        return (z.reshape(1, count, -1),)

    def generate(self, batch: Batch):
        """Return p(x | latents) at latents drawn from the prior, batch shape [1, B].

        Args:
          batch: "mask" [B] tells how many latents to draw.
        """
        return self.decode(self.prior_codes(batch), batch)

    def log_joint(self, samples: tuple, batch: Batch):
        """Return log p(x, z) [S, B] in nats.

        Args:
          samples: any latents, one array [S, B, D] for each layer, top level first.
          batch: "x" [B, *shape] is read.
        """
        return self.prior_of(batch).log_prob(samples[-1]) + self.decode(samples, batch).log_prob(batch["x"][None])
