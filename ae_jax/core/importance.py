"""Importance weights of a model's samples, for bounds and estimates of log p(x)."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Float

from ae_jax.core.errors import UserError
from ae_jax.core.types import Array, Batch, Outputs


def log_weights(outputs: Outputs, batch: Batch, path: bool = False) -> Float[Array, "S B"]:
    """Return the log importance weights log p(x, z) - log q(z|x) of every sample, in nats.

    Args:
      outputs: what the model returned for the batch.
      batch: the batch.
      path: differentiate with respect to the posterior's parameters through the samples alone. The omitted part of the
        gradient, through the density's own parameters, has mean zero (Roeder et al. 2017, arXiv:1703.09194).

    Raises:
      UserError: for a model with a deterministic latent.
    """
    log_ratios = []
    for latent in outputs.latents:
        log_q = latent.log_q_path if path else latent.log_q
        if log_q is None or latent.log_p is None:
            raise UserError(
                "importance weights need a random latent, and this model's latent is deterministic\n"
                "use --config.objective.name=reconstruction"
            )
        log_ratios.append(latent.log_p - log_q)
    return outputs.likelihood.log_prob(batch["x"][None]) + sum(log_ratios)


def log_mean_exp(log_w: Float[Array, "..."], axis: int = 0) -> Float[Array, "..."]:
    """Return the logarithm of the mean of exp(log_w) along an axis."""
    return jax.nn.logsumexp(log_w, axis=axis) - math.log(log_w.shape[axis])


def normalised(log_w: Float[Array, "S *rest"]) -> Float[Array, "S *rest"]:
    """Return weights divided by their sum over the samples.

    If all of them underflow they are 0, where a softmax would be NaN.
    """
    total = jax.nn.logsumexp(log_w, axis=0)
    return jnp.exp(log_w - jnp.where(jnp.isneginf(total), 0, total)[None])


def weighted(weights: Float[Array, "..."] | float, values: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Return weights * values, and 0 wherever the weight is 0.

    The logarithm of a weight that underflows is -inf, and 0 * (-inf) would be NaN.
    """
    return jnp.where(jnp.equal(weights, 0), 0, weights * jnp.where(jnp.equal(weights, 0), 0, values))


def effective_samples(log_sum: Float[Array, "*shape"], log_sum_of_squares: Float[Array, "*shape"]) -> Array:
    """Return the effective sample size (sum w)^2 / sum w^2; 0 if all weights are 0.

    Kong 1992, "A note on importance sampling using standardized weights".

    Args:
      log_sum: log sum w.
      log_sum_of_squares: log sum w^2.
    """
    return jnp.where(jnp.isneginf(log_sum), 0, jnp.exp(2 * log_sum - log_sum_of_squares))
