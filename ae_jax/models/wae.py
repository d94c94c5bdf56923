"""The Wasserstein autoencoder, which has deterministic latents.

An objective matches the distribution of the latents to a prior.

Tolstikhin et al. 2018, "Wasserstein auto-encoders", arXiv:1711.01558.
"""

from collections.abc import Callable

import flax.linen as nn

from ae_jax.core.forms import Count
from ae_jax.core.types import Batch, Latent
from ae_jax.models import ae
from ae_jax.models.priors import standard_normal


class Model(ae.Model):
    """Extend `ae.Model` by a prior, from which `generate` draws.

    Only `generate` reads the random stream "latent".

    Args:
      prior: a function from the length of a flat latent to a module of `ae_jax.models.priors`.
      latent_dim: D, the size of the latent.
    """

    prior: Callable[[int], nn.Module] = standard_normal.Prior
    latent_dim: Count = 8

    def setup(self):
        """Make the autoencoder and the prior."""
        super().setup()
        self.p_z = self.prior(self.latent_size)

    def encode(self, batch: Batch, num_samples: int = 1) -> tuple[Latent, ...]:
        """Return the latent of batch["inputs"] as a sample [1, B, D], and its prior.

        Args:
          batch: only "inputs" [B, *shape] is read.
          num_samples: not read, because the latent is deterministic.
        """
        (latent,) = super().encode(batch, num_samples)
        return (latent.replace(prior=self.prior_of(batch)),)

    def prior_of(self, batch: Batch):
        """Return p(z), batch shape [].

        Args:
          batch: not read.
        """
        return self.p_z()

    def generate(self, batch: Batch):
        """Return p(x | z) at latents drawn from the prior, batch shape [1, B].

        Args:
          batch: "mask" [B] tells how many latents to draw.
        """
        z = self.p_z().sample(self.make_rng("latent"), len(batch["mask"]))
        return self.decode((z[None],), batch)
