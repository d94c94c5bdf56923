"""Mean squared error of reconstructions."""

import jax.numpy as jnp

from ae_jax.evaluation import reconstructed
from ae_jax.evaluation.gather import mean_and_se

BETTER = {"mse_per_pixel": "min"}


def evaluate(model, variables, data, key) -> dict[str, float]:
    """Measure (x - x_hat)^2, averaged over pixels and examples.

    x_hat is the mean of the likelihood at one draw of the latent.

    Returns:
      "mse_per_pixel", in the squared unit of the data (for data that are not images, per number).
    """
    return mean_and_se(_mse, model, variables, data.test, key)


def _mse(model, variables, batch, key):
    mean = model.apply(variables, batch, rngs={"latent": key}).likelihood.mean[0]
    x, x_hat = reconstructed.pair(model, batch, mean)
    return {"mse_per_pixel": jnp.square(x_hat - x).reshape(len(x), -1).mean(axis=1)}
