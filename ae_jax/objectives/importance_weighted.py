"""Importance-weighted bounds on log p(x), and estimators of their gradients.

The weight of a sample z_s is w_s = p(x, z_s) / q(z_s|x). All terms are in nats, each the negative of a bound, since
training minimises them.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Float

from ae_jax.core.errors import UserError
from ae_jax.core.importance import log_mean_exp, log_weights, normalised, weighted
from ae_jax.core.types import Array, Batch, Outputs, Scalar, Terms
from ae_jax.objectives.elbo import elbo


def iwae(outputs: Outputs, batch: Batch) -> Terms:
    """Return the negative IWAE bound, -log (1/S) sum_s w_s.

    Burda et al. 2016, arXiv:1509.00519, eq. 8.
    """
    return miwae(outputs, batch, groups=1)


def miwae(outputs: Outputs, batch: Batch, *, groups: int = 1) -> Terms:
    """Return the negative mean of the IWAE bounds of groups of samples.

    Rainforth et al. 2018, arXiv:1802.04537, eq. 9.

    Args:
      outputs: what the model returned for the batch.
      batch: the batch.
      groups: number of groups; must divide the number of samples.

    Raises:
      UserError: if it does not.
    """
    return {"bound": -_mean_bound(log_weights(outputs, batch), groups), **outputs.penalties}


def ciwae(outputs: Outputs, batch: Batch, *, beta: Scalar = 0.05) -> Terms:
    """Return a combination of the negative ELBO and the negative IWAE bound.

    Rainforth et al. 2018, arXiv:1802.04537, eq. 10.

    Args:
      outputs: what the model returned for the batch.
      batch: the batch.
      beta: weight of the negative ELBO; the negative IWAE bound has weight 1 - beta.
    """
    terms = elbo(outputs, batch)
    negative_elbo = terms["reconstruction"] + terms["kl"]
    negative_iwae = -log_mean_exp(log_weights(outputs, batch))
    # At beta 0 or 1 one of the bounds has no weight, and it may be infinite then.
    bound = weighted(beta, negative_elbo) + weighted(1 - beta, negative_iwae)
    return {"bound": bound, **outputs.penalties}


def piwae(outputs: Outputs, batch: Batch, *, groups: int = 1) -> dict[str, Terms]:
    """Return the negative MIWAE bound for the encoder, the negative IWAE bound for the rest.

    Rainforth et al. 2018, arXiv:1802.04537, section 4.3.

    Args:
      outputs: what the model returned for the batch.
      batch: the batch.
      groups: number of groups of the MIWAE bound; must divide the number of samples.

    Raises:
      UserError: if it does not.
    """
    log_w = log_weights(outputs, batch)
    return _two_players(outputs, encoder=-_mean_bound(log_w, groups), decoder=-log_mean_exp(log_w))


def stl(outputs: Outputs, batch: Batch) -> Terms:
    """Return the negative IWAE bound with the "sticking the landing" gradient for the encoder.

    The gradient is unbiased for one sample and biased for more (Roeder et al. 2017, arXiv:1703.09194, section 4).
    """
    # One bound serves both players. Nothing of the decoder or the prior is stopped, so that their gradients are the
    # ordinary ones, also where the prior shares parameters with the encoder.
    return {"bound": -log_mean_exp(log_weights(outputs, batch, path=True)), **outputs.penalties}


def dreg(outputs: Outputs, batch: Batch) -> dict[str, Terms]:
    """Return the negative IWAE bound with the doubly reparameterised gradient for the encoder.

    The gradient, the sum over samples of (w_s / sum w)^2 d log w_s / dz_s dz_s / dphi, is unbiased for any number of
    samples (Tucker et al. 2019, arXiv:1810.04152, eq. 8).
    """
    log_w = log_weights(outputs, batch)
    bound = log_mean_exp(log_w)
    share = jax.lax.stop_gradient(normalised(log_w))
    # A sample whose weight underflows has no share, and its log weight may be -inf.
    surrogate = weighted(jnp.square(share), log_weights(outputs, batch, path=True)).sum(axis=0)
    # This has the value of the bound and the gradient of the surrogate.
    encoder = jax.lax.stop_gradient(bound) + surrogate - jax.lax.stop_gradient(surrogate)
    return _two_players(outputs, encoder=-encoder, decoder=-bound)


def _mean_bound(log_w: Float[Array, "S B"], groups: int) -> Float[Array, " B"]:
    """Return the mean over groups of samples of each group's IWAE bound."""
    samples = len(log_w)
    if not isinstance(groups, int) or groups < 1 or samples % groups:
        raise UserError(
            f"objective.groups={groups} does not divide objective.num_samples={samples}\n"
            f"use one of {', '.join(str(n) for n in range(1, samples + 1) if samples % n == 0)}"
        )
    return log_mean_exp(log_w.reshape(groups, samples // groups, -1), axis=1).mean(axis=0)


def _two_players(outputs: Outputs, encoder: Float[Array, " B"], decoder: Float[Array, " B"]) -> dict[str, Terms]:
    """Return the terms of both players; the penalties belong to the decoder."""
    return {"decoder": {"decoder_bound": decoder, **outputs.penalties}, "encoder": {"encoder_bound": encoder}}
