"""Active units: the latent dimensions whose posterior mean varies with the example."""

import jax.numpy as jnp
import numpy as np

from ae_jax.core.distributions import Normal
from ae_jax.evaluation import requirements
from ae_jax.evaluation.gather import compiled, gather

BETTER = {"active_units": "max"}

_ACTIVE = 0.01


def evaluate(model, variables, data, key, *, samples: int = 100) -> dict[str, float]:
    """Count the latent dimensions with Var_x(E_q[z|x]) > 0.01.

    The definition is that of Burda et al. 2016, arXiv:1509.00519, section 5.2.

    Args:
      model: the trained model.
      variables: the parameters and other collections of the model.
      data: the data of the evaluation.
      key: random key.
      samples: how many draws approximate a posterior mean that has no closed form. A mean that depends on the sample
        of another layer is approximated, too.

    Returns:
      "active_units", the count over all layers. With several layers also "active_units_1", "active_units_2", ..., the
      count of each layer, beginning with the layer next to the data.

    Raises:
      UserError: for a deterministic latent.
    """
    requirements.at_least(2, active_units_samples=samples)
    found = gather(compiled(_means, model, samples=samples), variables, data.test, key)
    counts = [float((_variances(*layer) > _ACTIVE).sum()) for layer in found.values()]
    result = {"active_units": sum(counts)}
    if len(counts) > 1:
        result |= {f"active_units_{number}": count for number, count in enumerate(counts, 1)}
    return result


def _means(model, variables, batch, key, samples):
    """Return {layer: (posterior means, squared errors)}, first the layer next to the data."""
    latents = requirements.random_codes("active_units", model, variables, batch, key, samples)
    return {str(number): _mean(latent) for number, latent in enumerate(latents[::-1])}


def _mean(latent):
    """Return E_q[z|x] [B, D] and the squared error of that estimate.

    It is exact if the posterior is normal and depends on no other layer's sample.
    """
    means = latent.posterior.mean if isinstance(latent.posterior, Normal) else latent.sample
    if means.ndim == 2:
        return means, jnp.zeros_like(means)
    return means.mean(axis=0), means.var(axis=0, ddof=1) / len(means)


def _variances(means, squared_errors):
    """Return Var_x(E_q[z|x]) [D]."""
    # The variance of estimated means is too large by the mean of their squared errors.
    return means.var(axis=0, dtype=np.float64) - squared_errors.mean(axis=0, dtype=np.float64)
