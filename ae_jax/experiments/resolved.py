"""Resolve the names in a config to functions and classes, each section once."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

from ae_jax import objectives
from ae_jax.core import forms, lookup, options
from ae_jax.data import corruptions
from ae_jax.experiments import parts
from ae_jax.training import optim

# The first parameters of every objective.
_FIRST = ("outputs", "batch")


@dataclasses.dataclass(frozen=True)
class Resolved:
    """A config whose names are resolved. Nothing is known of the data yet.

    Args:
      model: the parts of the model.
      objective: the function (outputs, batch, **numbers) -> terms.
      corrupt: the function (key, x, **numbers) -> inputs.
      tx: the function **numbers -> Optax transformation.
      numbers: the arguments of `make_hparams`, {section: {key: number or text of a schedule}}.
    """

    model: parts.Parts
    objective: Callable
    corrupt: Callable
    tx: Callable
    numbers: dict[str, Any]


def resolve(config: Any, open_run: Callable | None = None) -> Resolved:
    """Resolve the names in a config, and separate its numbers from its constants.

    Numbers may follow schedules, and are arguments of the compiled step: runs that differ in them alone share one
    compiled step. Constants, such as sizes and names, are compiled in.

    Args:
      config: the config.
      open_run: the function that opens another run, for the objective and the parts of the model that declare it.

    Raises:
      UnknownKey: a key is unknown.
      UserError: a name is unknown, or a key has a value that is not allowed.
    """
    model = parts.resolve(config.model, open_run)
    function, of_objective = _objective(config.objective, open_run)
    corrupt, of_corruption = corruptions.find(config.corruption)
    tx, of_optimizer = optim.make_tx(config.optimizer)
    # None removes the weight of a term that the objective does not have.
    weights = {term: weight for term, weight in config.weights.items() if weight is not None}
    for term, weight in weights.items():
        forms.check(f"weights.{term}", weight, forms.of(forms.Number))
    numbers = {"weights": weights, "model": model.numbers, "objective": of_objective, "corruption": of_corruption}
    return Resolved(model, function, corrupt, tx, {**numbers, "optimizer": of_optimizer, "ema": config.train.ema})


def objective(name: str) -> Callable:
    """Return the objective of this name; raise UserError where there is none.

    Args:
      name: a file in ae_jax/objectives, or "package.module:name" for a user's own objective.
    """
    return lookup.function(objectives, name, _FIRST, "objective")


def _objective(section: Any, open_run: Callable | None) -> tuple[Callable, dict[str, Any]]:
    """Return (the objective with its constants bound, its numbers) for an objective section."""
    reader = f"objective {section.name!r}"
    given = {key: value for key, value in section.items() if key not in ("name", "num_samples")}
    function = objective(section.name)
    also, skip = ("name", "num_samples"), (*_FIRST, "key", "open_run")
    found = options.resolve(function, given, "objective", reader, skip, also)
    opener = {"open_run": open_run} if "open_run" in options.of(function) else {}
    return functools.partial(function, **found.constants, **opener), found.numbers
