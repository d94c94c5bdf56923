"""Gather what a model computes for many batches: jitted programs, rows of examples, means with standard errors."""

import functools
from collections.abc import Callable, Iterable
from typing import Any

import jax
import numpy as np

from ae_jax.core.types import Batch
from ae_jax.devices import mesh
from ae_jax.evaluation import requirements


@functools.lru_cache(maxsize=64)
def compiled(function: Callable, model: Any, **options: Any) -> Callable:
    """`function(model, variables, batch, key, **options)` jitted, the batch cut over all devices that there are.

    It is the same program each time the same model is asked the same.
    """

    def compute(variables, batch, key):
        return mesh.whole(function(model, variables, mesh.spread(batch), key, **options))

    return jax.jit(compute)


class OnShapes(Exception):
    """What `gather` raises in place of an answer where the variables are shapes alone: nothing was asked amiss."""


def gather(
    compute: Callable, variables: Any, batches: Iterable[Batch], key: Any, count: int | None = None
) -> dict[str, np.ndarray]:
    """What `compute(variables, batch, key)` -> {name: [B, ...]} answers for the first `count` unmasked examples, or for
    all, as {name: [N, ...]}; trees of arrays, such as distributions, stay trees. Reads as many batches as that takes.
    Of variables that are shapes alone, it traces the first batch and raises OnShapes.
    """
    parts, missing = {}, count
    if any(isinstance(leaf, jax.ShapeDtypeStruct) for leaf in jax.tree.leaves(variables)):
        jax.eval_shape(compute, variables, next(iter(batches)), key)
        raise OnShapes
    for number, batch in enumerate(batches):
        present = np.flatnonzero(np.asarray(batch["mask"]) > 0)[:missing]
        for name, values in compute(variables, batch, jax.random.fold_in(key, number)).items():
            parts.setdefault(name, []).append(jax.tree.map(lambda leaf, kept=present: np.asarray(leaf)[kept], values))
        missing = None if missing is None else missing - len(present)
        if missing == 0:
            break
    joined = lambda *leaves: np.concatenate(leaves)
    return {name: jax.tree.map(joined, *values) for name, values in parts.items()}


def mean_and_se(
    per_example: Callable, model: Any, variables: Any, batches: Iterable[Batch], key: Any, **options: Any
) -> dict[str, float]:
    """Means over all unmasked examples of `per_example(model, variables, batch, key, **options)`, {name: [B]}.

    Answers {name: mean, name_se: standard error of that mean over the examples}, summed in float64.
    """
    result = {}
    for name, values in gather(compiled(per_example, model, **options), variables, batches, key).items():
        result |= mean_with_error(name, values)
    return result


def mean_with_error(name: str, values: np.ndarray) -> dict[str, float]:
    """{name: mean of `values` [N], name_se: its standard error}."""
    return {name: float(values.mean(dtype=np.float64)), f"{name}_se": standard_error(values)}


def standard_error(values: np.ndarray) -> float:
    """The standard error of the mean of `values` [N]; nan for a single one."""
    deviation = values.std(ddof=1, dtype=np.float64) if len(values) > 1 else np.nan
    return float(deviation / np.sqrt(len(values)))


def code_and_label(model: Any, variables: Any, batch: Batch, key: Any) -> dict[str, Any]:
    """The code [B, D] of a batch and, where there is one, the label [B]."""
    labels = {"label": batch["label"]} if "label" in batch else {}
    return {"code": requirements.latent_code(model.apply(variables, batch, rngs={"latent": key})), **labels}
