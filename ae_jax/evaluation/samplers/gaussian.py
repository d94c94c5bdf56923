"""One normal distribution with a full covariance: the codes' own mean and covariance."""

import jax
import numpy as np

from ae_jax.core.errors import UserError


def fit(codes, key):
    """codes [N, D] -> sample(key, n) -> [n, D]. Nothing is drawn from `key`. Raises UserError for a single code."""
    if len(codes) < 2:
        raise UserError(f"a normal distribution cannot be fitted to {len(codes)} codes\ntry a larger --limit")
    mean, covariance = codes.mean(axis=0), np.atleast_2d(np.cov(codes, rowvar=False))
    # A dimension that never varies leaves the covariance singular.
    factor = np.linalg.cholesky(covariance + 1e-6 * np.eye(len(mean)))
    return lambda key, n: mean[None] + jax.random.normal(key, (n, len(mean))) @ factor.T
