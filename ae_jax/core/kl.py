"""KL divergences KL(q(z|x) || p(z)) of one layer of latents, in nats."""

from jaxtyping import Float

from ae_jax.core import distributions
from ae_jax.core.errors import UserError
from ae_jax.core.types import Array, Latent


def kl(latent: Latent) -> Float[Array, " B"]:
    """Return the KL divergence of each example, in closed form or averaged over the samples.

    Raises:
      UserError: for a deterministic latent.
    """
    if latent.log_q is None or latent.log_p is None:
        raise UserError(
            "the ELBO needs a random latent, and this model's latent is deterministic\n"
            "use --config.objective.name=reconstruction"
        )
    per_dimension = kl_per_dimension(latent)
    if per_dimension is None:
        return (latent.log_q - latent.log_p).mean(axis=0)
    return per_dimension.sum(axis=-1)


def kl_per_dimension(latent: Latent) -> Float[Array, "B D"] | None:
    """Return the closed-form KL divergence of each example and dimension; None without one.

    It is averaged over samples if the posterior or the prior depends on the sample of another layer.
    """
    if latent.posterior is None or not distributions.has_closed_kl(latent.posterior, latent.prior):
        return None
    nats = distributions.kl_per_dimension(latent.posterior, latent.prior)
    return nats if nats.ndim == 2 else nats.mean(axis=0)
