"""Priors p(z), one a file: `Prior`, a module that returns a distribution over latents."""

import flax.linen as nn


class Prior(nn.Module):
    """What holds of a prior unless it says otherwise.

    It is called without arguments and returns a distribution with empty batch shape, event [latent_dim]; a prior with
    `reads_posterior` is called as `prior(posterior_of, spec)`.

    Args:
      latent_dim: the size of a latent.
    """

    latent_dim: int

    # Whether the prior is made of posteriors q(z|x) of the model's own encoder.
    reads_posterior = False
