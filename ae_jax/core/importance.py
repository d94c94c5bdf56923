"""Importance weights of a model's samples, which bounds and estimates of log p(x) are made of."""

import math
from typing import Any

import jax

from ae_jax.core.errors import UserError
from ae_jax.core.types import Batch, Outputs


def log_weights(outputs: Outputs, batch: Batch, path: bool = False) -> Any:
    """log w = log p(x, z) - log q(z|x) of every sample, [S, B].

    path: whether the gradient by the posterior's parameters flows through the samples alone, and not through the
        density's own dependence on them, whose part has mean zero (Roeder et al. 2017, arXiv:1703.09194).
    Raises UserError for a deterministic code.
    """
    densities = [(latent.log_p, latent.log_q_path if path else latent.log_q) for latent in outputs.latents]
    if any(log_q is None for _, log_q in densities):
        raise UserError(
            "importance weights need a random code; this model's is deterministic\n"
            "try --config.objective.name=reconstruction"
        )
    return outputs.likelihood.log_prob(batch["x"][None]) + sum(log_p - log_q for log_p, log_q in densities)


def log_mean_exp(log_w: Any, axis: int = 0) -> Any:
    """log of the mean of exp(log_w) along an axis."""
    return jax.nn.logsumexp(log_w, axis=axis) - math.log(log_w.shape[axis])
