"""Size and sparsity of the latent."""

import jax.numpy as jnp

from ae_jax.evaluation import requirements
from ae_jax.evaluation.gather import mean_and_se

BETTER = {"mean_absolute_code": "min", "share_of_zero_code": "max"}


def evaluate(model, variables, data, key) -> dict[str, float]:
    """Measure the average size of the latent's values, and the share of them that is zero.

    Returns:
      "mean_absolute_code", the mean of |z| over examples and dimensions, and "share_of_zero_code", the share of values
      with |z| < 1e-3.
    """
    return mean_and_se(_statistics, model, variables, data.test, key)


def _statistics(model, variables, batch, key):
    size = jnp.abs(requirements.latent_code(model.apply(variables, batch, rngs={"latent": key})))
    return {"mean_absolute_code": size.mean(axis=1), "share_of_zero_code": (size < 1e-3).mean(axis=1)}
