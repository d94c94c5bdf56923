"""Reduce the terms of each example to the one number that training minimises."""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp

from ae_jax.core import errors


def masked_mean(values: Any, mask: Any = None) -> Any:
    """Mean [...] of `values` [B, ...] over the examples whose `mask` [B] is one; over all of them without a mask."""
    if mask is None:
        return jnp.mean(values, axis=0)
    mask = jnp.reshape(mask, (-1,) + (1,) * (jnp.ndim(values) - 1))
    return jnp.sum(values * mask, axis=0) / jnp.maximum(jnp.sum(mask), 1)


def check_weights(terms: Mapping[str, Any], weights: Mapping[str, Any]) -> None:
    """Raises UserError unless every term has a weight and every weight a term."""
    for name in weights.keys() - terms.keys():
        raise errors.UserError(
            f"weights.{name} weighs no term of the objective{errors.nearest(name, terms)}\n"
            f"leave it out, or set it to None; the terms are: {', '.join(sorted(terms))}"
        )
    for name in terms.keys() - weights.keys():
        raise errors.UserError(f"the objective's term {name!r} has no weight\nset weights.{name}")


def weighted_sum(terms: Mapping[str, Any], weights: Mapping[str, Any]) -> Any:
    """The sum of weight * term."""
    return sum(weights[name] * value for name, value in sorted(terms.items()))
