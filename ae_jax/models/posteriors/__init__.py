"""Posteriors q(z|x), one a file: `Posterior`, a module from encoder features to a distribution over latents."""

import flax.linen as nn


class Posterior(nn.Module):
    """What holds of a posterior: it maps features [B, F] to a distribution, batch shape [B], event [latent_dim].

    The distribution has `sample_and_log_prob(key, n)`, `log_prob`, and `mean`, the point that stands for it.

    Args:
      latent_dim: the size of a latent.
    """

    latent_dim: int
