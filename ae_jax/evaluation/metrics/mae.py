"""Mean absolute error of reconstructions."""

import jax.numpy as jnp

from ae_jax.evaluation import reconstructed
from ae_jax.evaluation.gather import mean_and_se

BETTER = {"mae_per_pixel": "min"}


def evaluate(model, variables, data, key) -> dict[str, float]:
    """Measure |x - x_hat|, averaged over pixels and examples.

    x_hat is the mean of the likelihood at one draw of the latent.

    Returns:
      "mae_per_pixel", in the unit of the data (for data that are not images, per number).
    """
    return mean_and_se(_mae, model, variables, data.test, key)


def _mae(model, variables, batch, key):
    mean = model.apply(variables, batch, rngs={"latent": key}).likelihood.mean[0]
    x, x_hat = reconstructed.pair(model, batch, mean)
    return {"mae_per_pixel": jnp.abs(x_hat - x).reshape(len(x), -1).mean(axis=1)}
