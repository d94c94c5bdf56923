"""The negative evidence lower bound (ELBO), with free bits and a capacity."""

import math

import jax.numpy as jnp
from jaxtyping import Float

from ae_jax.core import errors
from ae_jax.core.errors import UserError
from ae_jax.core.kl import kl, kl_per_dimension
from ae_jax.core.reduce import masked_mean
from ae_jax.core.types import Array, Batch, Latent, Outputs, Scalar, Terms
from ae_jax.objectives.reconstruction import reconstruction

_NATS_PER_BIT = math.log(2)


def elbo(
    outputs: Outputs,
    batch: Batch,
    *,
    free_bits: Scalar | None = None,
    free_bits_on: str = "dimension",
    capacity: Scalar | None = None,
) -> Terms:
    """Return the terms of the negative ELBO: -E_q[log p(x|z)] and KL(q(z|x) || p(z)).

    Args:
      outputs: what the model returned for the batch.
      batch: the batch.
      free_bits: KL in bits up to which it costs nothing more.
      free_bits_on: what the free bits apply to. "dimension": the mean of each latent dimension over the batch (Kingma
        et al. 2016, arXiv:1606.04934, eq. 15). "sum": the KL of each example (Roberts et al. 2018, arXiv:1803.05428).
      capacity: C in nats; the term "kl" becomes |KL - C| (Burgess et al. 2018, arXiv:1804.03599, eq. 8).

    Returns:
      The terms "reconstruction" and "kl" in nats, and the model's penalties. With free bits or a capacity also
      "kl_unclamped", the KL itself, which is logged and has no part in the loss.

    Raises:
      UserError: for a deterministic latent, or if free bits per dimension meet a KL without a closed form.
    """
    if free_bits_on not in ("dimension", "sum"):
        raise errors.unknown("objective.free_bits_on", free_bits_on, ("dimension", "sum"))
    if free_bits is not None and free_bits_on == "dimension":
        rates = [_free_bits_per_dimension(latent, free_bits * _NATS_PER_BIT, batch) for latent in outputs.latents]
    else:
        rates = [kl(latent) for latent in outputs.latents]
    rate = _total(rates, batch)
    if free_bits is not None and free_bits_on == "sum":
        rate = jnp.maximum(rate, free_bits * _NATS_PER_BIT)
    if capacity is not None:
        rate = jnp.abs(rate - capacity)
    terms = {**reconstruction(outputs, batch), "kl": rate}
    if free_bits is not None or capacity is not None:
        # A collapsed posterior shows in the KL itself, and not in the constant that it is clamped to.
        terms["kl_unclamped"] = _total([kl(latent) for latent in outputs.latents], batch)
    return terms


def _total(rates: list[Float[Array, " B"]], batch: Batch) -> Float[Array, " B"]:
    """Return the sum of the KLs of all latents; 0 for a model without latents."""
    return sum(rates, start=jnp.zeros(len(batch["x"])))


def _free_bits_per_dimension(latent: Latent, nats: Scalar, batch: Batch) -> Float[Array, " B"]:
    """Return the sum over dimensions of max(mean KL of the batch, nats), broadcast to [B]."""
    per_dimension = kl_per_dimension(latent)
    if per_dimension is None:
        raise UserError("free bits per dimension need a closed-form KL\nuse --config.objective.free_bits_on=sum")
    # The mean comes before the maximum: bits are free for a dimension on average, not for each example.
    means = masked_mean(per_dimension, batch.get("mask"))
    return jnp.broadcast_to(jnp.maximum(means, nats).sum(), len(per_dimension))
