"""Baselines for restoration: the corrupted image itself, or its bicubic enlargement."""

import jax
import jax.numpy as jnp

from ae_jax.evaluation import reconstructed, requirements
from ae_jax.evaluation.gather import mean_and_se
from ae_jax.evaluation.metrics.psnr import decibels
from ae_jax.evaluation.metrics.ssim import ssim

BETTER = {"baseline_psnr_db": "max", "baseline_ssim": "max"}


def evaluate(model, variables, data, key) -> dict[str, float]:
    """Measure PSNR and SSIM of the model's inputs, which a restoration must exceed.

    Inputs that are smaller than the images are enlarged by bicubic interpolation. All are clipped to [0, 1].

    Returns:
      "baseline_psnr_db" in decibels and "baseline_ssim".

    Raises:
      UserError: for data that are not images of pixels.
    """
    requirements.needs_pixels("baselines", data.test.spec, images=True)
    return mean_and_se(_baselines, model, variables, data.test, key)


def _baselines(model, variables, batch, key):
    x, inputs = reconstructed.pair(model, batch, batch["inputs"])
    image = jnp.clip(jax.image.resize(inputs, x.shape, "bicubic"), 0, 1)
    return {"baseline_psnr_db": decibels(image, x), "baseline_ssim": ssim(x, image)}
