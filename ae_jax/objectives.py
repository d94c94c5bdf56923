"""What training minimises: (outputs, batch) -> {term: [B]}, per example, each to be minimised.

Terms are in nats where nothing else is said. They are neither weighted nor averaged here. A statistic of the batch is
returned broadcast to [B].
"""

import math
from typing import Any

import jax
import jax.numpy as jnp

from ae_jax import distributions, errors
from ae_jax.errors import UserError
from ae_jax.importance import log_mean_exp, log_weights
from ae_jax.reduce import masked_mean
from ae_jax.types import Batch, Latent, Outputs

_NATS_PER_BIT = math.log(2)


def reconstruction(outputs: Outputs, batch: Batch) -> dict[str, Any]:
    """-log p(x|z), averaged over the samples of z."""
    nll = -outputs.likelihood.log_prob(batch["x"][None])
    return {"reconstruction": nll.mean(axis=0), **outputs.penalties}


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
    rate = sum(rates)
    if free_bits is not None and free_bits_on == "sum":
        rate = jnp.maximum(rate, free_bits * _NATS_PER_BIT)
    if capacity is not None:
        rate = jnp.abs(rate - capacity)
    return {**reconstruction(outputs, batch), "kl": rate}


def kl(latent: Latent) -> Any:
    """KL(q(z|x) || p(z)) [B]: in closed form where there is one, else averaged over the samples of z."""
    if latent.posterior is None:
        raise UserError(
            "the elbo needs a random code; this model's is deterministic\ntry --config.objective.name=reconstruction"
        )
    per_dimension = kl_per_dimension(latent)
    return (latent.log_q - latent.log_p).mean(axis=0) if per_dimension is None else per_dimension.sum(axis=-1)


def kl_per_dimension(latent: Latent) -> Any:
    """KL(q(z_d|x) || p(z_d)) [B, D] in closed form, averaged over the samples that either depends on; None without."""
    if latent.posterior is None or not distributions.has_closed_kl(latent.posterior, latent.prior):
        return None
    nats = distributions.kl_per_dimension(latent.posterior, latent.prior)
    return nats if nats.ndim == 2 else nats.mean(axis=0)


def _free_bits_per_dimension(latent, nats, batch):
    per_dimension = kl_per_dimension(latent)
    if per_dimension is None:
        raise UserError("free bits per dimension need a closed-form KL\ntry --config.objective.free_bits_on=sum")
    means = masked_mean(per_dimension, batch.get("mask"))
    return jnp.broadcast_to(jnp.maximum(means, nats).sum(), len(per_dimension))


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


def adversarial(outputs: Outputs, batch: Batch) -> dict[str, dict[str, Any]]:
    """The two players of an adversarial autoencoder: the autoencoder, reconstructing and generating, and the critic."""
    terms = reconstruction(outputs, batch)
    if "critic" not in terms:
        raise UserError("objective 'adversarial' needs a model with a critic\ntry --config.model.name=aae")
    return {"autoencoder": terms, "critic": {"critic": terms.pop("critic")}}


# --- importance-weighted bounds ---------------------------------------------------------------------------------------


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
    if any(isinstance(latent.prior, distributions.PosteriorMixture) for latent in outputs.latents):
        # Bauer and Mnih 2021, arXiv:2101.11046, is what it would take.
        raise UserError(
            "piwae and dreg need a prior apart from the encoder, which 'vamp' is not\ntry objective.name=iwae"
        )
    return {"decoder": {"decoder_bound": decoder, **outputs.penalties}, "encoder": {"encoder_bound": encoder}}
