"""Evaluate a function of a model over many batches.

The result has the values for each example, or means with standard errors.
"""

import functools
from collections.abc import Callable, Iterable
from typing import Any

import jax
import numpy as np

from ae_jax.core.types import Batch
from ae_jax.data.batching import by_example, keys_of_examples
from ae_jax.devices import mesh
from ae_jax.evaluation import requirements


@functools.lru_cache(maxsize=64)
def compiled(function: Callable, model: Any, **options: Any) -> Callable:
    """Compile a function of a model and a batch, with the batch sharded over all devices.

    The result is cached: the same function, model and options reuse one compiled program.

    Args:
      function: called as `function(model, variables, batch, key, **options)`. With one key for each example it is
        called once for each of them, on a batch of one, so that no random draw depends on the other examples.
      model: the model. It is hashed, as Linen modules are, by its class and fields.
      **options: further arguments, which are constants of the compiled program.

    Returns:
      The compiled function of (variables, batch, keys), with a key for each example [B], or one for the whole batch.
      Every device has the whole result, so that every process can read it.
    """

    def compute(variables, batch, keys):
        bound = functools.partial(function, model, variables, **options)
        call = by_example(bound) if keys.ndim else bound
        return mesh.replicate(call(mesh.shard(batch), keys))

    return jax.jit(compute)


class OnShapes(Exception):
    """Raised by `gather` after tracing, if the variables are shapes and cannot be evaluated.

    It tells the caller that the function fits the model.
    """


def gather(
    compute: Callable, variables: Any, batches: Iterable[Batch], key: Any, count: int | None = None
) -> dict[str, np.ndarray]:
    """Collect the values of a function for the examples that are not masked.

    Only as many batches are read as `count` requires.

    Args:
      compute: called as `compute(variables, batch, keys)`, with a key for each example [B]; returns {name: [B, ...]}.
        Pytrees of arrays, such as distributions, are also values.
      variables: the parameters and other collections of the model.
      batches: the batches, of which masked examples are left out.
      key: random key; each example receives a key of its own.
      count: how many examples are wanted; None for all.

    Returns:
      {name: [N, ...]}, each value a NumPy array, or a pytree of them.

    Raises:
      OnShapes: if variables are shapes (`jax.ShapeDtypeStruct`). The first batch was traced, which raises the errors
        of a metric that does not fit the model, before any training.
    """
    if _are_shapes(variables):
        first = next(iter(batches))
        jax.eval_shape(compute, variables, first, keys_of_examples(key, 0, len(first["mask"])))
        raise OnShapes
    parts: dict[str, list] = {}
    missing, done = count, 0
    for batch in batches:
        present = np.flatnonzero(np.asarray(batch["mask"]) > 0)[:missing]
        keys = keys_of_examples(key, done, len(batch["mask"]))
        done += len(batch["mask"])
        for name, values in compute(variables, batch, keys).items():
            parts.setdefault(name, []).append(_take(values, present))
        missing = None if missing is None else missing - len(present)
        # Leave before the loop asks for another batch, which might be slow to read.
        if missing == 0:
            break
    return {name: jax.tree.map(_concatenate, *values) for name, values in parts.items()}


def _are_shapes(variables: Any) -> bool:
    return any(isinstance(leaf, jax.ShapeDtypeStruct) for leaf in jax.tree.leaves(variables))


def _take(values: Any, rows: np.ndarray) -> Any:
    """Return these rows of each array of a pytree, as NumPy arrays."""
    return jax.tree.map(lambda leaf: np.asarray(leaf)[rows], values)


def _concatenate(*leaves: np.ndarray) -> np.ndarray:
    return np.concatenate(leaves)


def mean_and_se(
    per_example: Callable, model: Any, variables: Any, batches: Iterable[Batch], key: Any, **options: Any
) -> dict[str, float]:
    """Average values over all examples that are not masked, with standard errors.

    Args:
      per_example: called as `per_example(model, variables, batch, key, **options)`; returns {name: [B]}.
      model: the model.
      variables: the parameters and other collections of the model.
      batches: the batches.
      key: random key.
      **options: further arguments of `per_example`.

    Returns:
      {name: mean, name_se: standard error of the mean}.
    """
    result: dict[str, float] = {}
    for name, values in gather(compiled(per_example, model, **options), variables, batches, key).items():
        result |= mean_with_error(name, values)
    return result


def mean_with_error(name: str, values: np.ndarray) -> dict[str, float]:
    """Return {name: mean, name_se: standard error of the mean}.

    Args:
      name: name of the metric.
      values: values of the examples [N].
    """
    # Summed in float64: over many examples, rounding in float32 would be as large as small differences between runs.
    return {name: float(values.mean(dtype=np.float64)), f"{name}_se": standard_error(values)}


def standard_error(values: np.ndarray) -> float:
    """Return the standard error of a mean, or NaN for a single value.

    Args:
      values: values of the examples [N].
    """
    deviation = values.std(ddof=1, dtype=np.float64) if len(values) > 1 else np.nan
    return float(deviation / np.sqrt(len(values)))


def code_and_label(model: Any, variables: Any, batch: Batch, key: Any) -> dict[str, Any]:
    """Return the latent of a batch as "code" [B, D] and, if the batch has labels, "label" [B]."""
    labels = {"label": batch["label"]} if "label" in batch else {}
    return {"code": requirements.latent_code(model.apply(variables, batch, rngs={"latent": key})), **labels}
