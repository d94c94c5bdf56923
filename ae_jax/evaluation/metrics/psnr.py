"""Peak signal-to-noise ratio (PSNR) of reconstructions."""

import jax.numpy as jnp

from ae_jax.evaluation import reconstructed, requirements
from ae_jax.evaluation.gather import mean_and_se

BETTER = {"psnr_db": "max"}


def evaluate(model, variables, data, key) -> dict[str, float]:
    """Measure the PSNR, 10 log10(1 / mse), of each reconstruction, averaged over the images.

    A reconstruction is the mean of the likelihood at one draw of the latent, clipped to [0, 1].

    Returns:
      "psnr_db" in decibels.

    Raises:
      UserError: for data that are not pixels.
    """
    requirements.needs_pixels("psnr", data.test.spec)
    return mean_and_se(_psnr, model, variables, data.test, key)


def _psnr(model, variables, batch, key):
    mean = model.apply(variables, batch, rngs={"latent": key}).likelihood.mean[0]
    x, x_hat = reconstructed.pair(model, batch, mean)
    return {"psnr_db": decibels(jnp.clip(x_hat, 0, 1), x)}


def decibels(images, x):
    """Return the PSNR [B], 10 log10(1 / mse), at most 100 decibels.

    Args:
      images: reconstructions [B, ...] with pixels in [0, 1].
      x: the true images [B, ...].
    """
    mse = jnp.square(images - x).reshape(len(x), -1).mean(axis=1)
    # An exact reconstruction would have an infinite ratio, and with it an infinite mean over the images.
    return -10 * jnp.log10(jnp.maximum(mse, 1e-10))
