"""Peak signal-to-noise ratio of reconstructions, in decibels, the mean over images."""

import jax.numpy as jnp

from ae_jax import evaluation
from ae_jax.reduce import mean_and_se

BETTER = {"psnr_db": "max"}


def evaluate(model, variables, data, key) -> dict[str, float]:
    """10 log10(1 / mse) of each image, reconstructions clipped to the range of pixels, [0, 1].

    Raises UserError for data that are not pixels.
    """
    evaluation.needs_pixels("psnr", data["test"].spec)
    return mean_and_se(_psnr, model, variables, data["test"], key)


def _psnr(model, variables, batch, key):
    mean = jnp.clip(model.apply(variables, batch, rngs={"latent": key}).likelihood.mean[0], 0, 1)
    mse = jnp.square(mean - batch["x"]).reshape(len(mean), -1).mean(axis=1)
    return {"psnr_db": -10 * jnp.log10(jnp.maximum(mse, 1e-10))}
