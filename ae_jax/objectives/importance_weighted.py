"""Importance-weighted bounds on log p(x), and gradient estimators of their encoder."""

from typing import Any

import jax
import jax.numpy as jnp

from ae_jax.core.errors import UserError
from ae_jax.core.importance import log_mean_exp, log_weights
from ae_jax.core.types import Batch, Outputs
from ae_jax.objectives.elbo import elbo


def _multiple(log_w: Any, groups: int) -> Any:
    """MIWAE [B]: the mean over groups of samples of each group's bound."""
    samples = len(log_w)
    if not isinstance(groups, int) or groups < 1 or samples % groups:
        raise UserError(
            f"objective.groups={groups} of objective.num_samples={samples}\nexpected a divisor of the latter"
        )
    return log_mean_exp(log_w.reshape(groups, samples // groups, -1), axis=1).mean(axis=0)


def iwae(outputs: Outputs, batch: Batch) -> dict[str, Any]:
    """The term "bound": -log (1/S) sum_s w_s over the S samples (Burda et al. 2016, arXiv:1509.00519, eq. 8)."""
    return miwae(outputs, batch, groups=1)


def miwae(outputs: Outputs, batch: Batch, *, groups: int = 1) -> dict[str, Any]:
    """The term "bound": the mean of the IWAE bounds of `groups` groups of samples (Rainforth et al. 2018,
    arXiv:1802.04537, eq. 9). Raises UserError unless `groups` divides their number.
    """
    return {"bound": -_multiple(log_weights(outputs, batch), groups), **outputs.penalties}


def ciwae(outputs: Outputs, batch: Batch, *, beta: Any = 0.05) -> dict[str, Any]:
    """The term "bound": beta times the negative ELBO, 1 - beta times IWAE's bound (Rainforth et al. 2018, eq. 10)."""
    terms, weighted = elbo(outputs, batch), -log_mean_exp(log_weights(outputs, batch))
    negative_elbo = terms["reconstruction"] + terms["kl"]
    return {"bound": beta * negative_elbo + (1 - beta) * weighted, **outputs.penalties}


def piwae(outputs: Outputs, batch: Batch, *, groups: int = 1) -> dict[str, dict[str, Any]]:
    """The encoder maximises MIWAE with `groups` groups, the decoder, and with it the prior, IWAE on all samples
    (Rainforth et al. 2018, section 4.3). Raises UserError unless `groups` divides their number.
    """
    log_w = log_weights(outputs, batch)
    return _two_players(outputs, encoder=-_multiple(log_w, groups), decoder=-log_mean_exp(log_w))


def stl(outputs: Outputs, batch: Batch) -> dict[str, Any]:
    """IWAE with the "sticking the landing" gradient of the encoder (Roeder et al. 2017, arXiv:1703.09194, section 4):
    unbiased for one sample, biased for more.

    One bound is of both players: its gradient by the decoder and the prior is the ordinary one, as nothing of theirs is
    stopped, and so is that by a prior that shares the encoder.
    """
    return {"bound": -log_mean_exp(log_weights(outputs, batch, path=True)), **outputs.penalties}


def dreg(outputs: Outputs, batch: Batch) -> dict[str, dict[str, Any]]:
    """IWAE with the doubly reparameterised gradient of the encoder, unbiased for any number of samples: the sum of
    (w_s / sum w)^2 d log w_s / dz_s dz_s / dphi (Tucker et al. 2019, arXiv:1810.04152, eq. 8).
    """
    log_w = log_weights(outputs, batch)
    bound, share = log_mean_exp(log_w), jax.lax.stop_gradient(jax.nn.softmax(log_w, axis=0))
    surrogate = (jnp.square(share) * log_weights(outputs, batch, path=True)).sum(axis=0)
    # The bound's value with the surrogate's gradient.
    encoder = surrogate + jax.lax.stop_gradient(bound - surrogate)
    return _two_players(outputs, encoder=-encoder, decoder=-bound)


def _two_players(outputs, encoder, decoder):
    return {"decoder": {"decoder_bound": decoder, **outputs.penalties}, "encoder": {"encoder_bound": encoder}}
