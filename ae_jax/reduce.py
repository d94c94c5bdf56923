"""The one place where per-example values become one number."""

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ae_jax import errors
from ae_jax.types import Batch


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


@functools.lru_cache(maxsize=64)
def compiled(function: Callable, model: Any, **options: Any) -> Callable:
    """`function(model, ..., **options)` jitted, the same program each time the same model is asked the same."""
    return jax.jit(functools.partial(function, model, **options))


def mean_and_se(
    per_example: Callable, model: Any, variables: Any, batches: Iterable[Batch], key: Any, **options: Any
) -> dict[str, float]:
    """Means over all unmasked examples of what `per_example(model, variables, batch, key, **options)` answers, {name: [B]}.

    Answers {name: mean, name_se: standard error of that mean over the examples}, summed in float64.
    """
    compute, columns = compiled(per_example, model, **options), {}
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
