"""What restoration must beat: the corrupted image itself, or its bicubic enlargement."""

import jax
import jax.numpy as jnp

from ae_jax.evaluation import requirements
from ae_jax.evaluation.gather import mean_and_se
from ae_jax.evaluation.metrics.psnr import decibels
from ae_jax.evaluation.metrics.ssim import ssim

BETTER = {"baseline_psnr_db": "max", "baseline_ssim": "max"}


def evaluate(model, variables, data, key) -> dict[str, float]:
    """PSNR and SSIM of the model's inputs, clipped to [0, 1] and, where smaller, enlarged by cubic interpolation.

    Raises UserError for data that are no images of pixels.
    """
    requirements.needs_pixels("baselines", data.test.spec, images=True)
    return mean_and_se(_baselines, model, variables, data.test, key)


def _baselines(model, variables, batch, key):
    image = jnp.clip(jax.image.resize(batch["inputs"], batch["x"].shape, "bicubic"), 0, 1)
    return {"baseline_psnr_db": decibels(image, batch["x"]), "baseline_ssim": ssim(batch["x"], image)}
