"""Reconstruction with a penalty that keeps most of the latent near zero."""

from typing import Annotated

import jax.numpy as jnp

from ae_jax.core.forms import Limits
from ae_jax.core.reduce import masked_mean
from ae_jax.core.types import Batch, Outputs, Scalar, Terms
from ae_jax.objectives.reconstruction import reconstruction


def sparse(outputs: Outputs, batch: Batch) -> Terms:
    """Return the reconstruction terms and "sparsity", the L1 norm of the latent."""
    return {**reconstruction(outputs, batch), "sparsity": jnp.abs(outputs.code).sum(axis=-1)}


def sparse_kl(outputs: Outputs, batch: Batch, *, target: Annotated[Scalar, Limits(above=0, below=1)] = 0.05) -> Terms:
    """Return the reconstruction terms and "sparsity", a KL divergence from a target activation.

    It is the sum over the latent's dimensions of KL(target || mean activation over the batch), in nats (Ng 2011,
    "Sparse autoencoder", CS294A lecture notes). The latent must lie in [0, 1], as it does with code_activation=sigmoid.

    Args:
      outputs: what the model returned for the batch.
      batch: the batch.
      target: mean activation of each dimension, between 0 and 1.
    """
    mean = masked_mean(outputs.code, batch.get("mask"))
    # A mean outside [0, 1] comes from another activation. NaN then ends the training, which would optimise nonsense.
    mean = jnp.where((mean >= 0) & (mean <= 1), jnp.clip(mean, 1e-6, 1 - 1e-6), jnp.nan)
    nats = target * jnp.log(target / mean) + (1 - target) * jnp.log((1 - target) / (1 - mean))
    return {**reconstruction(outputs, batch), "sparsity": jnp.broadcast_to(nats.sum(), len(outputs.code))}
