"""Other runs that scores and figures set beside one: opened, named, and refused where they cannot be compared."""

import hashlib
import pathlib
from collections.abc import Iterable
from typing import Any

import jax
import numpy as np

from ae_jax.core.errors import UserError
from ae_jax.core.types import DataSpec


def opened(
    data: Any, runs: Iterable[str], spec: DataSpec, inputs: tuple[int, ...] | None = None
) -> list[tuple[Any, Any, Any]]:
    """(model, variables, data) of each of other `runs`.

    inputs: the shape of what all the models are given to read; None where each reads its own.
    Raises UserError for a run on examples unlike those of `spec`, or whose model reads inputs of another shape.
    """
    found = [(run.model, run.variables, run.data) for run in map(data.open_run, runs)]
    for run, (model, _, its_data) in zip(runs, found):
        if (model.spec.shape, model.spec.kind) != (spec.shape, spec.kind):
            raise UserError(
                f"{run!r} is a run on examples {model.spec.shape} of {model.spec.kind}\n"
                f"expected {spec.shape} of {spec.kind}, as this run's are"
            )
        if inputs is not None and its_data.input_shape != inputs:
            raise UserError(
                f"{run!r} is a run whose model reads inputs {its_data.input_shape}\n"
                f"expected {inputs}, which it would be given here"
            )
    return found


def digest(variables: Any) -> str:
    """Return twelve hex digits that tell the values of a model's variables from others."""
    leaves = jax.tree.leaves(variables)
    return hashlib.sha256(b"".join(np.asarray(leaf).tobytes() for leaf in leaves)).hexdigest()[:12]


def names(runs: Iterable[str]) -> list[str]:
    """["this run", ...]: each of the `runs` by as few of the last parts of its path as tell them apart."""
    parts = [pathlib.Path(run).absolute().parts for run in runs]
    last = lambda count: ["/".join(each[-count:]) for each in parts]
    longest = max(map(len, parts), default=1)
    apart = (count for count in range(1, longest) if len(set(last(count))) == len(set(parts)))
    return ["this run", *last(next(apart, longest))]
