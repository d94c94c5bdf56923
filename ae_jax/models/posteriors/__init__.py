"""Posteriors q(z|x), one per file: `Posterior`, a module from features to a distribution."""

import flax.linen as nn


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
