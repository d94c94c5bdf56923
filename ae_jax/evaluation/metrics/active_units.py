"""Active units: the dimensions of the code whose mean depends on the example."""

import jax.numpy as jnp
import numpy as np

from ae_jax.core.distributions import Normal
from ae_jax.evaluation import requirements
from ae_jax.evaluation.gather import compiled, gather

BETTER = {"active_units": "max"}

_ACTIVE = 0.01


def evaluate(model, variables, data, key, *, samples: int = 100) -> dict[str, float]:
    """How many dimensions of all layers have Var_x(E_q[z|x]) > 0.01 (Burda et al. 2016, arXiv:1509.00519, section 5.2).

    A mean that has no closed form, or depends on the sample of another layer, is an average over `samples` draws. With
    several layers "active_units_1", "active_units_2", ... are those of each, the one next to the data first.
    Raises UserError for a deterministic code.
    """
    requirements.at_least(2, active_units_samples=samples)
    found = gather(compiled(_means, model, samples=samples), variables, data.test, key)
    counts = [float((_variances(*layer) > _ACTIVE).sum()) for layer in found.values()]
    layers = {f"active_units_{number}": count for number, count in enumerate(counts, 1)} if len(counts) > 1 else {}
    return {"active_units": sum(counts), **layers}


def _means(model, variables, batch, key, samples):
    latents = requirements.random_codes("active_units", model, variables, batch, key, samples)
    return {str(number): _mean(latent) for number, latent in enumerate(latents[::-1])}


def _mean(latent):
    """E_q[z|x] [B, D], exactly where q is a Normal that depends on no other layer's sample, and its squared error."""
    means = latent.posterior.mean if isinstance(latent.posterior, Normal) else latent.sample
    if means.ndim == 2:
        return means, jnp.zeros_like(means)
    return means.mean(axis=0), means.var(axis=0, ddof=1) / len(means)


def _variances(means, squared_errors):
    """Var_x(E_q[z|x]) [D]: that of the averages, less what is of their finite number of draws."""
    return means.var(axis=0, dtype=np.float64) - squared_errors.mean(axis=0, dtype=np.float64)
