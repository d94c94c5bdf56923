"""Priors p(z), one a file: `Prior`, a module that returns a distribution over latents."""

import flax.linen as nn


class Prior(nn.Module):
    """Base class of priors, with the defaults of everything that a prior may declare.

    A prior is called without arguments. It returns a distribution with empty batch shape and event shape [latent_dim].
    A prior with `reads_posterior` is called as `prior(posterior_of, spec)`.

    Args:
      latent_dim: the size of a latent.
    """

    latent_dim: int

    # Whether the prior is made of posteriors q(z|x) of the model's own encoder.
    reads_posterior = False
    # Whether latents are one-hot vectors, which only a posterior of the same kind gives.
    is_discrete = False
