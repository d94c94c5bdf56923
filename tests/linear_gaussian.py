"""The linear-Gaussian VAE: p(x) and, where the decoder's columns are orthogonal, q(z|x) = p(z|x), in closed form."""

import functools

import jax.numpy as jnp
import numpy as np
from scipy import stats

from ae_jax.core.types import DataSpec
from ae_jax.models import vae
from ae_jax.models.likelihoods import gaussian
from ae_jax.models.nets import mlp
from ae_jax.models.posteriors import diagonal_normal

SIZE, LATENT, SCALE = 4, 2, 0.5
SPEC = DataSpec((SIZE,), "reals")
MODEL = vae.Model(
    SPEC,
    encoder=mlp.Encoder(hidden=()),
    decoder=mlp.Decoder(hidden=()),
    likelihood=functools.partial(gaussian.Likelihood, scale=SCALE),
    posterior=functools.partial(diagonal_normal.Posterior, shared_scale=True),
    latent_dim=LATENT,
)
# z -> x: orthogonal rows, so that the posterior's covariance is diagonal.
WEIGHTS = np.array([[0.8, 0.0, -0.6, 0.0], [0.0, 0.5, 0.0, 1.2]])
BIAS = np.array([0.3, -0.2, 0.1, 0.5])
VARIANCE = 1 / (1 + np.square(WEIGHTS).sum(axis=1) / SCALE**2)  # of p(z|x)


def variables(shift=0.0, log_scale=0.0):
    """Parameters with the exact posterior, its mean then shifted and its scale multiplied by exp(log_scale)."""
    kernel = (WEIGHTS * VARIANCE[:, None] / SCALE**2).T
    mean = {"kernel": kernel, "bias": shift - BIAS @ kernel}
    q_z = {"z_mean": mean, "z_log_sigma": 0.5 * np.log(VARIANCE) + log_scale}
    params = {"q_z": q_z, "decoder": {"Dense_0": {"kernel": WEIGHTS, "bias": BIAS}}}
    return {"params": _float32(params)}


def _float32(tree):
    return {k: _float32(v) if isinstance(v, dict) else jnp.asarray(v, jnp.float32) for k, v in tree.items()}


def log_p(x):
    """log p(x) [N] of rows x [N, SIZE]."""
    return stats.multivariate_normal(BIAS, WEIGHTS.T @ WEIGHTS + SCALE**2 * np.eye(SIZE)).logpdf(x)


def draw(count, seed=0):
    """Rows of the model's own data, [count, SIZE] float32."""
    generator = np.random.default_rng(seed)
    z, noise = generator.normal(size=(count, LATENT)), generator.normal(size=(count, SIZE))
    return (z @ WEIGHTS + BIAS + SCALE * noise).astype(np.float32)
