"""Penalties on the covariance of the aggregate posterior.

Kumar et al. 2018, "Variational inference of disentangled latent concepts from unlabeled observations",
arXiv:1711.00848.
"""

import jax.numpy as jnp
from jaxtyping import Float

from ae_jax.core import errors
from ae_jax.core.distributions import Normal
from ae_jax.core.errors import UserError
from ae_jax.core.reduce import masked_mean
from ae_jax.core.types import Array, Batch, Outputs, Terms
from ae_jax.objectives.elbo import elbo


def dip(outputs: Outputs, batch: Batch, *, kind: str = "ii") -> Terms:
    """Return the terms of the negative ELBO, and two penalties on the latent's covariance C.

    "off_diagonal" is the sum of C_ij^2 over i != j, and "diagonal" is the sum of (C_ii - 1)^2. Kumar et al. weigh the
    second by ten times the weight of the first for kind "i", and equally for "ii". Both are statistics of the batch.

    Args:
      outputs: what the model returned for the batch.
      batch: the batch.
      kind: "i" for the covariance of the posterior means (equation 6), "ii" for that of the aggregate posterior, which
        adds the mean posterior variance (equation 7).

    Raises:
      UserError: for an unknown kind, or a latent whose posterior is not a normal distribution.
    """
    if kind not in ("i", "ii"):
        raise errors.unknown("objective.kind", kind, ("i", "ii"))
    if not outputs.latents or not isinstance(outputs.latents[-1].posterior, Normal):
        raise UserError("objective 'dip' needs a normal posterior\nuse model.posterior=diagonal_normal")
    posterior, mask = outputs.latents[-1].posterior, batch.get("mask")
    covariance = _covariance(posterior.loc, mask)
    if kind == "ii":
        # The law of total variance: the covariance of the means, and the mean of the posterior covariances.
        variances = jnp.broadcast_to(jnp.exp(2 * posterior.log_scale), posterior.loc.shape)
        covariance += jnp.diag(masked_mean(variances, mask))
    diagonal = jnp.diagonal(covariance)
    off_diagonal = jnp.square(covariance).sum() - jnp.square(diagonal).sum()
    count = len(batch["x"])
    return {
        **elbo(outputs, batch),
        "off_diagonal": jnp.broadcast_to(off_diagonal, (count,)),
        "diagonal": jnp.broadcast_to(jnp.square(diagonal - 1).sum(), (count,)),
    }


def _covariance(rows: Float[Array, "B D"], mask: Float[Array, " B"] | None) -> Float[Array, "D D"]:
    """Return the covariance of rows, divided by their number."""
    centred = rows - masked_mean(rows, mask)[None]
    return masked_mean(centred[:, :, None] * centred[:, None, :], mask)
