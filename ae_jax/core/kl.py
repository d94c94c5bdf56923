"""KL divergences KL(q(z|x) || p(z)) of a latent, in nats."""

from typing import Any

from ae_jax.core import distributions
from ae_jax.core.errors import UserError
from ae_jax.core.types import Latent


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
