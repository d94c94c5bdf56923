"""Reconstruction with a penalty that keeps most of the latent near zero."""

from typing import Any

import jax.numpy as jnp

from ae_jax.core.reduce import masked_mean
from ae_jax.core.types import Batch, Outputs
from ae_jax.objectives.reconstruction import reconstruction


def sparse(outputs: Outputs, batch: Batch) -> dict[str, Any]:
    """Reconstruction, and "sparsity": the sum of the absolute code, in its own units."""
    return {**reconstruction(outputs, batch), "sparsity": jnp.abs(outputs.code).sum(axis=-1)}


def sparse_kl(outputs: Outputs, batch: Batch, *, target: Any = 0.05) -> dict[str, Any]:
    """Reconstruction, and "sparsity": the sum over the code's dimensions of KL(target || mean activation), in nats.

    The code must lie in [0, 1], as with code_activation="sigmoid"; means are over the batch (Ng 2011, "Sparse
    autoencoder", CS294A lecture notes). A mean outside makes the term NaN, at which training ends.
    """
    mean = masked_mean(outputs.code, batch.get("mask"))
    mean = jnp.where((mean >= 0) & (mean <= 1), jnp.clip(mean, 1e-6, 1 - 1e-6), jnp.nan)
    nats = target * jnp.log(target / mean) + (1 - target) * jnp.log((1 - target) / (1 - mean))
    return {**reconstruction(outputs, batch), "sparsity": jnp.broadcast_to(nats.sum(), len(outputs.code))}
