"""Squared error between x and the mean of its reconstruction, per pixel."""

import jax.numpy as jnp

from ae_jax.evaluation.gather import mean_and_se

BETTER = {"mse_per_pixel": "min"}


def evaluate(model, variables, data, key) -> dict[str, float]:
    """Mean over pixels and examples of (x - x_hat)^2, x_hat the likelihood's mean at one draw of the code."""
    return mean_and_se(_mse, model, variables, data.test, key)


def _mse(model, variables, batch, key):
    mean = model.apply(variables, batch, rngs={"latent": key}).likelihood.mean[0]
    return {"mse_per_pixel": jnp.square(mean - batch["x"]).reshape(len(mean), -1).mean(axis=1)}
