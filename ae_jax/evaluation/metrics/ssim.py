"""Structural similarity (SSIM) of reconstructions.

Wang et al. 2004, "Image quality assessment: from error visibility to structural similarity", IEEE TIP 13(4).
"""

import jax.numpy as jnp
import numpy as np

from ae_jax.evaluation import reconstructed, requirements
from ae_jax.evaluation.gather import mean_and_se

BETTER = {"ssim": "max"}

# Wang et al. 2004, section 3.C: a Gaussian window of 11x11 with a standard deviation of 1.5 pixels.
_SIGMA, _RADIUS, _K1, _K2 = 1.5, 5, 0.01, 0.03


def evaluate(model, variables, data, key) -> dict[str, float]:
    """Measure the SSIM of each image and its reconstruction, averaged over channels and images.

    A reconstruction is the mean of the likelihood at one draw of the latent, clipped to [0, 1].

    Returns:
      "ssim", at most 1.

    Raises:
      UserError: for data that are not images of pixels.
    """
    requirements.needs_pixels("ssim", data.test.spec, images=True)
    return mean_and_se(_ssim, model, variables, data.test, key)


def _ssim(model, variables, batch, key):
    mean = model.apply(variables, batch, rngs={"latent": key}).likelihood.mean[0]
    x, x_hat = reconstructed.pair(model, batch, mean)
    return {"ssim": ssim(x, jnp.clip(x_hat, 0, 1))}


def ssim(a, b):
    """Compute the SSIM [B] of images [B, H, W, C] in [0, 1].

    It is averaged over the places where the window fits. For images smaller than the window of 11x11, the window is cut
    to the largest odd size that they hold.

    Args:
      a: images.
      b: images to compare with.
    """
    radius = min(_RADIUS, (min(a.shape[1:3]) - 1) // 2)
    offsets = np.arange(-radius, radius + 1)
    weights = np.exp(-0.5 * (offsets / _SIGMA) ** 2)
    weights = jnp.asarray(weights / weights.sum(), jnp.float32)

    def along(values):
        return jnp.convolve(values, weights, mode="valid")

    def blur(image):
        # A Gaussian window is separable: first along the height, then along the width.
        rows = jnp.apply_along_axis(along, 1, image)
        return jnp.apply_along_axis(along, 2, rows)

    mean_a, mean_b = blur(a), blur(b)
    variance_a = blur(a * a) - mean_a**2
    variance_b = blur(b * b) - mean_b**2
    covariance = blur(a * b) - mean_a * mean_b
    c1, c2 = _K1**2, _K2**2
    luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    structure = (2 * covariance + c2) / (variance_a + variance_b + c2)
    return (luminance * structure).mean(axis=(1, 2, 3))
