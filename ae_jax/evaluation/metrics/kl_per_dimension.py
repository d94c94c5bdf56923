"""KL divergence of each latent dimension."""

import jax.numpy as jnp
import numpy as np

from ae_jax.core.errors import UserError
from ae_jax.core.kl import kl_per_dimension
from ae_jax.evaluation import requirements
from ae_jax.evaluation.gather import compiled, gather

BETTER: dict[str, str] = {}


def evaluate(model, variables, data, key) -> dict[str, float]:
    """Measure KL(q(z_d|x) || p(z_d)) of each latent dimension d, averaged over the examples.

    With several layers of latents, it is that of the layer next to the data.

    Returns:
      "kl_dimension_0", "kl_dimension_1", ... in nats.

    Raises:
      UserError: for a deterministic latent, or if the KL divergence has no closed form.
    """
    nats = averages(model, variables, data, key)
    if not nats:
        raise UserError("metric 'kl_per_dimension' needs a normal posterior and a normal prior\nuse --metrics=elbo")
    return nats


def averages(model, variables, data, key) -> dict[str, float]:
    """Return the values of `evaluate`, or nothing if the KL divergence has no closed form."""
    nats = gather(compiled(_rates, model), variables, data.test, key)["kl"].mean(axis=0, dtype=np.float64)
    return {f"kl_dimension_{d}": float(value) for d, value in enumerate(nats)}


def _rates(model, variables, batch, key):
    latent = requirements.random_codes("kl_per_dimension", model, variables, batch, key)[-1]
    nats = kl_per_dimension(latent)
    # No columns stand for no closed form, because the values of all batches are concatenated.
    return {"kl": jnp.zeros((len(batch["x"]), 0)) if nats is None else nats}
