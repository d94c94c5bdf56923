"""Run a function of a trained model over arrays of any length, in device calls of one size."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import numpy as np

from ae_jax.core.errors import UserError
from ae_jax.core.types import Batch, DataSpec
from ae_jax.data.batching import keys_of_examples, present
from ae_jax.evaluation import gather
from ae_jax.experiments.analysis import Trained


def compute(
    trained: Trained,
    function: Callable[..., Any],
    batch: Mapping[str, np.ndarray],
    *,
    label: Any,
    key: Any,
    batch_size: int,
    **options: Any,
) -> Any:
    """Return the values of a function for all rows of a batch, [N, ...] or a pytree.

    Args:
      trained: the opened run.
      function: called as `function(model, variables, batch, key, **options)`; returns an array [B, ...], or a pytree.
      batch: {"mask": [N], ...}, without labels.
      label: classes [M] or vectors [M, L], taken in turn; None where there are none.
      key: the random key, of which each row gets a key of its own.
      batch_size: the number of rows in a device call.
      **options: further arguments, which are constants of the compiled program.

    Raises:
      UserError: the model reads a label or inputs that are not there, or would ignore the label that is.
    """
    if trained.model.adds_inputs and "inputs" not in batch:
        raise UserError("this model's decoder adds its inputs, and a latent alone has none\ntry --task=reconstruct")
    count = len(batch["mask"])
    size = min(batch_size, count)
    batch = {**batch, **_labels(trained, label, count)}
    compiled, parts = gather.compiled(function, trained.model, **options), []
    for start in range(0, count, size):
        # Repeat the last row up to a whole batch: one of another size would be compiled again.
        rows = np.minimum(np.arange(start, start + size), count - 1)
        part = {name: values[rows] for name, values in batch.items()}
        values = compiled(trained.variables, part, keys_of_examples(key, start, size))
        parts.append(jax.tree.map(np.asarray, values))
    return jax.tree.map(lambda *leaves: np.concatenate(leaves)[:count], *parts)


def blank(count: int) -> dict[str, np.ndarray]:
    """Return a batch of `count` rows without any example."""
    return {"mask": np.ones(count, np.float32)}


def of_inputs(trained: Trained, x: Any) -> dict[str, np.ndarray]:
    """Return examples as a batch without "x", which a user does not have.

    Args:
      trained: the opened run.
      x: [N, *input_shape]: floats as the model reads them, or integers, which are levels of pixels or events.

    Raises:
      UserError: the examples have another shape.
    """
    x, shape = np.asarray(x), trained.experiment.input_shape
    if x.shape[1:] != shape or not len(x):
        expected = ", ".join(map(str, ("N", *shape)))
        raise UserError(f"x has shape {list(x.shape)}, and this model reads others\nexpected [{expected}]")
    x = present(x, trained.spec) if np.issubdtype(x.dtype, np.integer) else x.astype(np.float32, copy=False)
    return {"inputs": x, **blank(len(x))}


def gathered(batches: Iterable[Batch]) -> dict[str, np.ndarray]:
    """Return {"inputs": [N, *input_shape], "label"?: [N] or [N, L]} of all examples."""
    parts = []
    for batch in batches:
        there = np.flatnonzero(np.asarray(batch["mask"]) > 0)
        parts.append({name: np.asarray(batch[name])[there] for name in ("inputs", "label") if name in batch})
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _labels(trained: Trained, label: Any, count: int) -> dict[str, np.ndarray]:
    """Return {"label": [N] or [N, L]} as the model reads it; {} for a model that reads none."""
    if not trained.model.reads_label:
        if label is not None:
            raise UserError("this model reads no label\nleave it out")
        return {}
    spec = trained.spec
    expected = f"expected {'an .npz whose label is' if spec.label_dim else '--label=CLASS, of'} {spec.labels}"
    if label is None:
        raise UserError(f"this model is conditional, and there are no labels\n{expected}")
    label = np.atleast_1d(label)
    label = label[np.arange(count) % len(label)]
    if label.ndim == 2:
        is_wide = label.shape[1] == spec.label_width and np.issubdtype(label.dtype, np.number)
        if not is_wide or not np.isfinite(label).all():
            raise UserError(f"labels [N, {label.shape[1]}] {label.dtype} are none that this model reads\n{expected}")
        return {"label": label.astype(np.float32)}
    for each in label:
        if not _is_class(each, spec):
            raise UserError(f"label {str(each)!r} is no class of this model\n{expected}")
    return {"label": label.astype(np.int32)}


def _is_class(label: Any, spec: DataSpec) -> bool:
    """Return whether a number, or its digits as a text, is a class of the data."""
    return not spec.label_dim and str(label).isdecimal() and int(label) < spec.classes
