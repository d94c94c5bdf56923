"""Run a function of a trained model over arrays of any length, in device calls of one size."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import numpy as np

from ae_jax.core.errors import UserError
from ae_jax.core.types import Batch
from ae_jax.data import labels, scaling
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
    # A few rows make one small call. Filling them up to batch_size would waste most of its work.
    size = min(batch_size, count)
    batch = {**batch, **_labels(trained, label, count)}
    compiled, parts = gather.compiled(function, trained.model, **options), []
    for start in range(0, count, size):
        # Repeat the last row up to a whole batch: one of another size would be compiled again.
        rows = np.minimum(np.arange(start, start + size), count - 1)
        part = {name: values[rows] for name, values in batch.items()}
        values = compiled(trained.variables, part, keys_of_examples(key, start, size))
        # Each part moves to the host at once, so that the device holds the results of one call only.
        parts.append(jax.tree.map(np.asarray, values))
    return jax.tree.map(lambda *leaves: np.concatenate(leaves)[:count], *parts)


def blank(count: int) -> dict[str, np.ndarray]:
    """Return a batch of `count` rows without any example."""
    return {"mask": np.ones(count, np.float32)}


def of_inputs(trained: Trained, x: Any) -> dict[str, np.ndarray]:
    """Return examples as a batch without "x", which a user does not have.

    Args:
      trained: the opened run.
      x: [N, *input_shape]: floats as the model reads them, or integers, which are levels of pixels or events. Where the
        run scales its data, values in the units that they had before.

    Raises:
      UserError: the examples have another shape.
    """
    x, shape = np.asarray(x), trained.experiment.input_shape
    if x.shape[1:] != shape or not len(x):
        expected = ", ".join(map(str, ("N", *shape)))
        raise UserError(f"x has shape {list(x.shape)}, and this model reads others\nexpected [{expected}]")
    own = scaling.of(trained.spec, bool(trained.experiment.config.data.clip))
    if np.issubdtype(x.dtype, np.integer) and not (own and trained.spec.unscaled == "reals"):
        kind = trained.spec.unscaled or trained.spec.kind
        x = np.asarray(present(x, dataclasses.replace(trained.spec, kind=kind)))
    return of_prepared(own.scaled(x) if own else x)


def of_prepared(x: np.ndarray) -> dict[str, np.ndarray]:
    """Return inputs [N, *input_shape] as a batch without "x".

    Args:
      x: the inputs, of any real type, scaled as the model reads them. The batch has them as float32.
    """
    return {"inputs": x.astype(np.float32, copy=False), **blank(len(x))}


def as_stored(trained: Trained, x: np.ndarray) -> np.ndarray:
    """Return examples [N, *shape] as a split of the run's data stores them: scaled, where it is.

    Args:
      trained: the opened run.
      x: the examples, in the units that the data had before they were scaled.
    """
    own = scaling.of(trained.spec, bool(trained.experiment.config.data.clip))
    return own.scaled(x) if own else x


def by_name(trained: Trained, label: Any) -> Any:
    """Return labels of the run's own data with classes by name, and "?" for an unknown one."""
    if label is None or not trained.spec.classes:
        return label
    return np.array([*trained.spec.class_names, "?"])[np.asarray(label)]  # an example without a label has -1


def in_own_units(trained: Trained, x: np.ndarray) -> np.ndarray:
    """Return examples [N, *shape] in the units that the data had before they were scaled.

    Args:
      trained: the opened run.
      x: the examples, scaled as the model reads them.
    """
    own = scaling.of(trained.spec)
    if own is None:
        return x
    # Reals keep float64: float32 has too few digits for a small range far from zero.
    return own.undone(x).astype(np.float32 if trained.spec.unscaled == "pixels" else np.float64)


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
    label = as_labels(trained, label)
    return {"label": label[np.arange(count) % len(label)]}


def as_labels(trained: Trained, label: Any) -> np.ndarray:
    """Return labels as models read them: classes [N], given by name or number, or vectors.

    Raises:
      UserError: they are none of the run's labels.
    """
    spec, label = trained.spec, np.atleast_1d(label)
    expected = f"expected {'an .npz whose label is' if spec.label_dim else '--label=CLASS, of'} {spec.labels}"
    if label.ndim == 2:
        is_wide = label.shape[1] == spec.label_width and np.issubdtype(label.dtype, np.number)
        if not is_wide or not np.isfinite(label).all():
            raise UserError(f"labels [N, {label.shape[1]}] {label.dtype} are none that this model reads\n{expected}")
        return label.astype(np.float32)
    names = () if spec.label_dim else spec.class_names
    numbers = labels.numbers_of(names, label)
    for number, each in zip(numbers, label):
        if number < 0:
            raise UserError(f"label {str(each)!r} is no class of this model\n{expected}")
    return numbers
