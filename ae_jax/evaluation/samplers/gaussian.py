"""One normal distribution with the mean and the full covariance of the latents."""

import jax
import numpy as np

from ae_jax.core.errors import UserError


def fit(codes, key):
    """Fit a normal distribution to latents.

    Args:
      codes: latents [N, D].
      key: random key, which this sampler does not use.

    Returns:
      The function sample(key, n), which draws latents [n, D].

    Raises:
      UserError: for fewer than two latents, which have no covariance.
    """
    if len(codes) < 2:
        raise UserError(f"a normal distribution cannot be fitted to {len(codes)} latents\ntry a larger --limit")
    mean, covariance = codes.mean(axis=0), np.atleast_2d(np.cov(codes, rowvar=False))
    # A dimension that never varies leaves the covariance singular.
    factor = np.linalg.cholesky(covariance + 1e-6 * np.eye(len(mean)))
    return lambda key, n: mean[None] + jax.random.normal(key, (n, len(mean))) @ factor.T
