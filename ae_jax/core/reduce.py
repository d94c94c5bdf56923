"""Reduction of the terms of each example to the one number that training minimises."""

import functools
import operator
from collections.abc import Mapping

import jax.numpy as jnp
from jaxtyping import Float, Real

from ae_jax.core import errors
from ae_jax.core.types import Array, Scalar

# Terms that are logged beside the loss and have no weight in it.
LOGGED_ONLY = frozenset({"kl_unclamped"})


def masked_mean(values: Float[Array, "B *rest"], mask: Real[Array, " B"] | None = None) -> Float[Array, "*rest"]:
    """Return the mean of `values` over the examples whose `mask` is one.

    Without a mask, it is the mean over all examples. If every example is masked out, it is zero.
    """
    if mask is None:
        return jnp.mean(values, axis=0)
    mask = jnp.reshape(mask, (-1,) + (1,) * (jnp.ndim(values) - 1))
    # An example that is masked out may have an infinite value, and 0 * inf would be NaN.
    kept = jnp.where(mask > 0, values * mask, 0)
    return jnp.sum(kept, axis=0) / jnp.maximum(jnp.sum(mask), 1)


def check_weights(terms: Mapping[str, object], weights: Mapping[str, object]) -> None:
    """Check that every term has a weight and every weight a term.

    Args:
      terms: the terms of the objective by name.
      weights: the config section `weights`.

    Raises:
      UnknownKey: if a weight has no term.
      UserError: if a term has no weight.
    """
    for name in weights.keys() - terms.keys():
        raise errors.UnknownKey(f"weights.{name}", [f"weights.{term}" for term in terms], "this objective")
    for name in terms.keys() - weights.keys() - LOGGED_ONLY:
        raise errors.UserError(f"the objective's term {name!r} has no weight\nset weights.{name}")


def weighted_sum(terms: Mapping[str, Float[Array, "..."]], weights: Mapping[str, Scalar]) -> Float[Array, "..."]:
    """Return the sum of weight * term, in the order of names so that it is reproducible."""
    # Sums of floats depend on the order of the terms, and the order of a dict is that in which it was filled.
    weighed = [weights[name] * terms[name] for name in sorted(terms.keys() - LOGGED_ONLY)]
    return functools.reduce(operator.add, weighed)
