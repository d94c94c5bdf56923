"""Objectives that match the aggregate posterior to the prior by a distance between samples."""

import jax
import jax.numpy as jnp
from jaxtyping import Float

from ae_jax.core import errors, mmd
from ae_jax.core.errors import UserError
from ae_jax.core.reduce import masked_mean
from ae_jax.core.types import Array, Batch, Key, Outputs, Terms
from ae_jax.objectives.elbo import elbo
from ae_jax.objectives.reconstruction import reconstruction

KERNELS = ("inverse_multiquadratic", "gaussian")


def info(
    outputs: Outputs, batch: Batch, *, key: Key, kernel: str = "inverse_multiquadratic", unbiased: bool = True
) -> Terms:
    """Return the terms of the negative ELBO, and "mmd" (InfoVAE).

    "mmd" compares the aggregate posterior with the prior.

    Zhao et al. 2019, arXiv:1706.02262, equation 6. With its alpha and lambda, the weights are kl = 1 - alpha and
    mmd = alpha + lambda - 1.

    Args:
      outputs: what the model returned for the batch.
      batch: the batch.
      key: random key of the draws from the prior.
      kernel: "inverse_multiquadratic" or "gaussian", see `ae_jax.core.mmd`.
      unbiased: use the unbiased estimate of the squared MMD, which can be negative.

    Raises:
      UserError: for an unknown kernel, or a model without a prior.
    """
    return {**elbo(outputs, batch), "mmd": _mmd(outputs, batch, key, kernel, unbiased)}


def wae_mmd(
    outputs: Outputs, batch: Batch, *, key: Key, kernel: str = "inverse_multiquadratic", unbiased: bool = True
) -> Terms:
    """Return the reconstruction, and "mmd" (Wasserstein autoencoder).

    "mmd" compares latents with draws from the prior.

    Tolstikhin et al. 2018, arXiv:1711.01558, algorithm 2. With a Gaussian likelihood of standard deviation s, the
    reconstruction is the sum of squares divided by 2 s^2, up to a constant.

    Args:
      outputs: what the model returned for the batch.
      batch: the batch.
      key: random key of the draws from the prior.
      kernel: "inverse_multiquadratic" or "gaussian", see `ae_jax.core.mmd`.
      unbiased: use the unbiased estimate of the squared MMD, which can be negative.

    Raises:
      UserError: for an unknown kernel, or a model without a prior.
    """
    return {**reconstruction(outputs, batch), "mmd": _mmd(outputs, batch, key, kernel, unbiased)}


def swae(outputs: Outputs, batch: Batch, *, key: Key, projections: int = 50) -> Terms:
    """Return the reconstruction, and "sliced_wasserstein".

    "sliced_wasserstein" compares latents with draws from the prior.

    Kolouri et al. 2019, "Sliced Wasserstein auto-encoders", arXiv:1804.01947, equation 15. It is the mean, over random
    directions, of the squared 2-Wasserstein distance between the projections of both samples.

    Args:
      outputs: what the model returned for the batch.
      batch: the batch.
      key: random key of the directions and of the draws from the prior.
      projections: the number of directions.

    Raises:
      UserError: for a model without a prior, or fewer than one projection.
    """
    if projections < 1:
        raise UserError(f"objective.projections={projections} is too small\nuse at least 1")
    key_directions, key_prior = jax.random.split(key)
    z = _latents(outputs)
    directions = jax.random.normal(key_directions, (z.shape[1], projections))
    # Unit vectors: a projection keeps the scale of the latents.
    directions /= jnp.linalg.norm(directions, axis=0)[None]
    draws = _prior_draws(outputs, key_prior)
    squares = sliced_wasserstein2(z @ directions, draws @ directions, batch.get("mask"))
    return {**reconstruction(outputs, batch), "sliced_wasserstein": jnp.broadcast_to(squares, (len(z),))}


def sliced_wasserstein2(
    a: Float[Array, "B P"], b: Float[Array, "B P"], mask: Float[Array, " B"] | None = None
) -> Float[Array, ""]:
    """Return the squared 2-Wasserstein distance of two samples, averaged over columns.

    The samples have equal sizes.

    Args:
      a: the first sample, one projection a column.
      b: the second sample.
      mask: one for the rows of both samples that count; None for all.
    """
    # In one dimension the optimal transport joins the values in their order. Padding, in both samples, comes last.
    if mask is not None:
        a, b = (jnp.where(mask[:, None] > 0, values, jnp.inf) for values in (a, b))
    a, b = jnp.sort(a, axis=0), jnp.sort(b, axis=0)
    if mask is not None:
        mask = jnp.sort(mask)[::-1]
        a, b = (jnp.where(mask[:, None] > 0, values, 0.0) for values in (a, b))
    return masked_mean(jnp.square(a - b).mean(axis=1), mask)


def _mmd(outputs: Outputs, batch: Batch, key: Key, kernel: str, unbiased: bool) -> Float[Array, " B"]:
    """Return the squared MMD between latents and prior, broadcast to [B].

    As many points are drawn from the prior as there are latents.
    """
    if kernel not in KERNELS:
        raise errors.unknown("objective.kernel", kernel, KERNELS)
    z, draws = _latents(outputs), _prior_draws(outputs, key)

    def k(squares: Float[Array, "N M"]) -> Float[Array, "N M"]:
        if kernel == "gaussian":
            return mmd.gaussian(squares)
        return mmd.inverse_multiquadratic(squares, z.shape[1])

    return jnp.broadcast_to(mmd.mmd2(z, draws, k, batch.get("mask"), unbiased), (len(z),))


def _latents(outputs: Outputs) -> Float[Array, "B D"]:
    """Return the first sample of the latent next to the data.

    Raise UserError for a model without a prior.
    """
    if not outputs.latents or outputs.latents[-1].prior is None:
        raise UserError("this objective needs a model with a prior\nuse model.name=vae or model.name=wae")
    return outputs.latents[-1].sample[0]


def _prior_draws(outputs: Outputs, key: Key) -> Float[Array, "B D"]:
    """Draw as many latents from the prior as the batch has examples."""
    prior = outputs.latents[-1].prior
    assert prior is not None, "checked by _latents"
    return prior.sample(key, outputs.latents[-1].sample.shape[1])
