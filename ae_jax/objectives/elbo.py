"""The negative evidence lower bound (ELBO), with free bits and a capacity."""

import math
from typing import Any

import jax.numpy as jnp

from ae_jax.core import errors
from ae_jax.core.errors import UserError
from ae_jax.core.kl import kl, kl_per_dimension
from ae_jax.core.reduce import masked_mean
from ae_jax.core.types import Batch, Outputs
from ae_jax.objectives.reconstruction import reconstruction

_NATS_PER_BIT = math.log(2)


def elbo(
    outputs: Outputs,
    batch: Batch,
    *,
    free_bits: Any = None,
    free_bits_on: str = "dimension",
    capacity: Any = None,
) -> dict[str, Any]:
    """The two terms of the negative ELBO: -E_q[log p(x|z)] and KL(q(z|x) || p(z)).

    free_bits: KL below this many bits costs nothing more: per "dimension" of its mean over the batch (Kingma et al.
        2016, arXiv:1606.04934, eq. 15), or on the "sum" of each example (Roberts et al. 2018, arXiv:1803.05428).
    capacity: C in nats; the term is |KL - C| instead of KL (Burgess et al. 2018, arXiv:1804.03599, eq. 8).
    """
    if free_bits_on not in ("dimension", "sum"):
        raise errors.unknown("objective.free_bits_on", free_bits_on, ("dimension", "sum"))
    if free_bits is not None and free_bits_on == "dimension":
        rates = [_free_bits_per_dimension(latent, free_bits * _NATS_PER_BIT, batch) for latent in outputs.latents]
    else:
        rates = [kl(latent) for latent in outputs.latents]
    # A model without latents has no KL.
    rate = sum(rates, start=jnp.zeros(len(batch["x"])))
    if free_bits is not None and free_bits_on == "sum":
        rate = jnp.maximum(rate, free_bits * _NATS_PER_BIT)
    if capacity is not None:
        rate = jnp.abs(rate - capacity)
    return {**reconstruction(outputs, batch), "kl": rate}


def _free_bits_per_dimension(latent, nats, batch):
    per_dimension = kl_per_dimension(latent)
    if per_dimension is None:
        raise UserError("free bits per dimension need a closed-form KL\ntry --config.objective.free_bits_on=sum")
    means = masked_mean(per_dimension, batch.get("mask"))
    return jnp.broadcast_to(jnp.maximum(means, nats).sum(), len(per_dimension))
