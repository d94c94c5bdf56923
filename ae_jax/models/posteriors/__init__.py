"""Posteriors q(z|x), one per file: `Posterior`, a module from features to a distribution."""

from typing import Any

import flax.linen as nn

from ae_jax.core.types import Latent


class Posterior(nn.Module):
    """Base class of posteriors, which map features [B, F] to a distribution over latents.

    The distribution has batch shape [B] and event shape [latent_dim].

    The distribution has the methods `sample_and_log_prob(key, n)` and `log_prob`. Its `mean` is the point that stands
    for it in metrics and figures.

    Args:
      latent_dim: the size of a latent.
    """

    latent_dim: int

    # Keys of the config's section `model` that are numbers, and may be schedules, as in `Family.varying`.
    varying = ()  # type: tuple[str, ...]
    # Whether samples are one-hot vectors, which need a prior of the same kind.
    is_discrete = False

    @nn.nowrap
    def in_training(self, latent: Latent, key: Any, hparams: Any) -> Latent:
        """Return the latent that training decodes, with samples through which gradients pass.

        Args:
          latent: the latent of this posterior, with samples [S, B, D].
          key: random key.
          hparams: {key: number} of the words in `varying`.
        """
        return latent
