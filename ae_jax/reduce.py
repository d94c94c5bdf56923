"""The one place where per-example values become one number."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ae_jax import errors


def masked_mean(values: Any, mask: Any = None) -> Any:
    """Mean of `values` [B] over the examples whose `mask` [B] is one; over all of them without a mask."""
    return jnp.mean(values) if mask is None else jnp.sum(values * mask) / jnp.maximum(jnp.sum(mask), 1)


def check_weights(terms: Mapping[str, Any], weights: Mapping[str, Any]) -> None:
    """Raises UserError unless every term has a weight and every weight a term."""
    for name in weights.keys() - terms.keys():
        raise errors.UserError(
            f"weights.{name} weighs no term of the objective{errors.nearest(name, terms)}\n"
            f"the terms are: {', '.join(sorted(terms))}"
        )
    for name in terms.keys() - weights.keys():
        raise errors.UserError(f"the objective's term {name!r} has no weight\nset weights.{name}")


def weighted_sum(terms: Mapping[str, Any], weights: Mapping[str, Any]) -> Any:
    """The sum of weight * term."""
    return sum(weights[name] * value for name, value in sorted(terms.items()))


def mean_and_se(
    per_example: Callable, variables: Any, batches: Iterable[Mapping[str, Any]], key: Any
) -> dict[str, float]:
    """Means over all unmasked examples of what `per_example(variables, batch, key)` -> {name: [B]} answers.

    Answers {name: mean, name_se: standard error of that mean over the examples}, summed in float64.
    """
    compute, columns = jax.jit(per_example), {}
    for number, batch in enumerate(batches):
        present = np.asarray(batch["mask"]) > 0
        for name, values in compute(variables, batch, jax.random.fold_in(key, number)).items():
            columns.setdefault(name, []).append(np.asarray(values, np.float64)[present])
    result = {}
    for name, parts in columns.items():
        values = np.concatenate(parts)
        result[name] = float(values.mean())
        result[f"{name}_se"] = float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else float("nan")
    return result
