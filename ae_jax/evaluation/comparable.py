"""Open, check and name the other runs that metrics and figures compare with this one."""

import hashlib
import pathlib
from collections.abc import Iterable, Sequence
from typing import Any

import jax
import numpy as np

from ae_jax.core.errors import UserError
from ae_jax.core.types import DataSpec


def opened(
    data: Any, runs: Iterable[str], spec: DataSpec, inputs: tuple[int, ...] | None = None
) -> list[tuple[Any, Any, Any]]:
    """Open other runs and check that they can be compared with this one.

    Args:
      data: the `EvalData` of this run, whose `open_run` opens the others.
      runs: directories of the other runs.
      spec: the description of one example of this run.
      inputs: shape of the inputs that all models will read; None if each model reads inputs of its own run.

    Returns:
      (model, variables, data) of each of the other runs.

    Raises:
      UserError: if a run has examples of another shape or kind, or if its model reads inputs of another shape.
    """
    found = [(run.model, run.variables, run.data) for run in map(data.open_run, runs)]
    for run, (model, _, its_data) in zip(runs, found):
        if (model.spec.shape, model.spec.kind) != (spec.shape, spec.kind):
            raise UserError(
                f"run {run!r} has examples of shape {model.spec.shape} and kind {model.spec.kind!r}\n"
                f"use runs on examples of shape {spec.shape} and kind {spec.kind!r}, as this run has"
            )
        if inputs is not None and its_data.input_shape != inputs:
            raise UserError(
                f"the model of run {run!r} reads inputs of shape {its_data.input_shape}\n"
                f"use runs whose models read inputs of shape {inputs}"
            )
    return found


def digest(variables: Any) -> str:
    """Return twelve hex digits that tell the values of a model's variables from others."""
    leaves = jax.tree.leaves(variables)
    return hashlib.sha256(b"".join(np.asarray(leaf).tobytes() for leaf in leaves)).hexdigest()[:12]


def names(runs: Iterable[str]) -> list[str]:
    """Name this run and other runs, by as few parts of their paths as distinguish them.

    Args:
      runs: directories of the other runs.

    Returns:
      "this run", then the last parts of the path of each of the other runs.
    """
    paths = [pathlib.Path(run).absolute().parts for run in runs]
    longest = max(map(len, paths), default=1)
    count = 1
    # A run that is listed twice keeps one name, so the number of names is compared with that of different paths.
    while count < longest and len(set(_endings(paths, count))) < len(set(paths)):
        count += 1
    return ["this run", *_endings(paths, count)]


def _endings(paths: Sequence[tuple[str, ...]], count: int) -> list[str]:
    """Return the last `count` parts of each path, joined by slashes."""
    return ["/".join(parts[-count:]) for parts in paths]
