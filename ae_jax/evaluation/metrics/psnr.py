"""Peak signal-to-noise ratio of reconstructions, in decibels, the mean over images."""

import jax.numpy as jnp

from ae_jax.evaluation import requirements
from ae_jax.evaluation.gather import mean_and_se

BETTER = {"psnr_db": "max"}


def evaluate(model, variables, data, key) -> dict[str, float]:
    """10 log10(1 / mse) of each image, reconstructions clipped to the range of pixels, [0, 1].

    Raises UserError for data that are not pixels.
    """
    requirements.needs_pixels("psnr", data.test.spec)
    return mean_and_se(_psnr, model, variables, data.test, key)


def _psnr(model, variables, batch, key):
    mean = model.apply(variables, batch, rngs={"latent": key}).likelihood.mean[0]
    return {"psnr_db": decibels(jnp.clip(mean, 0, 1), batch["x"])}


def decibels(images, x):
    """10 log10(1 / mse) [B] of images [B, ...] with pixels in [0, 1] beside x; at most 100."""
    mse = jnp.square(images - x).reshape(len(x), -1).mean(axis=1)
    return -10 * jnp.log10(jnp.maximum(mse, 1e-10))
