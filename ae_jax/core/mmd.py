"""The squared maximum mean discrepancy (MMD) between two samples.

Gretton et al. 2012, "A kernel two-sample test", JMLR 13.
"""

from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Float, Real

from ae_jax.core.types import Array, Scalar

Kernel = Callable[[Float[Array, "N M"]], Float[Array, "N M"]]

# The factors of the bandwidths over which the inverse multiquadratic kernel is summed (Tolstikhin et al. 2018).
_FACTORS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


def squared_distances(a: Float[Array, "N D"], b: Float[Array, "M D"]) -> Float[Array, "N M"]:
    """Return the squared Euclidean distances between all rows of two arrays."""
    # By |a|^2 + |b|^2 - 2 a.b, because differences of all pairs would take N M D numbers of memory. Rounding can make
    # the result slightly negative.
    squares = jnp.square(a).sum(axis=1)[:, None] + jnp.square(b).sum(axis=1)[None] - 2 * a @ b.T
    return jnp.maximum(squares, 0)


def gaussian(squares: Float[Array, "N M"], variance: Scalar = 1.0) -> Float[Array, "N M"]:
    """Return exp(-squares / (2 variance))."""
    return jnp.exp(-squares / (2 * variance))


def inverse_multiquadratic(squares: Float[Array, "N M"], dimension: int, variance: Scalar = 1.0) -> Float[Array, "N M"]:
    """Return the sum of C / (C + squares), where C = 2 dimension variance f.

    The sum is over seven factors f from 0.1 to 10.

    Tolstikhin et al. 2018, "Wasserstein auto-encoders", arXiv:1711.01558, section 4.

    Args:
      squares: squared distances.
      dimension: D, the size of a row.
      variance: the variance of one dimension of the prior.
    """
    scales = 2 * dimension * variance * jnp.array(_FACTORS)[None, None]
    return (scales / (scales + squares[..., None])).sum(axis=-1)


def mmd2(
    a: Float[Array, "N D"],
    b: Float[Array, "N D"],
    kernel: Kernel,
    mask: Real[Array, " N"] | None = None,
    unbiased: bool = True,
) -> Float[Array, ""]:
    """Estimate E k(a, a') + E k(b, b') - 2 E k(a, b) from two samples of equal size.

    Args:
      a: the first sample.
      b: the second sample.
      kernel: maps squared distances to k.
      mask: one for the rows of both samples that count; None for all.
      unbiased: leave out the pairs of a row with itself, so that the estimate has no bias and can be negative. The
        biased estimate is never negative.
    """
    weights = jnp.ones(len(a)) if mask is None else mask
    count = weights.sum()
    # Padding has the weight zero, so a padded batch gives the estimate of its examples alone.
    pairs = weights[:, None] * weights[None]

    def within(x: Float[Array, "N D"]) -> Float[Array, ""]:
        values = pairs * kernel(squared_distances(x, x))
        if not unbiased:
            return values.sum() / count**2
        # A single row has no other row to be compared with.
        return (values.sum() - jnp.trace(values)) / jnp.maximum(count * (count - 1), 1)

    between = (pairs * kernel(squared_distances(a, b))).sum() / count**2
    return within(a) + within(b) - 2 * between
