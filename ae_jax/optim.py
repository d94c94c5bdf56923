"""From an optimizer section to Optax: what is fixed, and the numbers that may differ at every step and in every run."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import optax

from ae_jax import errors


def names() -> list[str]:
    """The optimisers of Optax: its functions that take a learning rate."""
    functions = {key: value for key, value in vars(optax).items() if inspect.isfunction(value) and key[0] != "_"}
    return sorted(key for key, value in functions.items() if "learning_rate" in inspect.signature(value).parameters)


def make_tx(section: Mapping[str, Any]) -> tuple[Callable[..., optax.GradientTransformation], dict[str, Any]]:
    """(make, numbers): `make(**numbers)` is the transformation, and the numbers may be traced values or schedules.

    section: name (an optimiser of Optax), learning_rate, clip (bound on the global norm of the gradient; None: none),
        and any other argument of that optimiser; None leaves its default.
    Floats and the learning rate are the numbers; strings, booleans and integers are fixed.
    Raises UserError for an unknown optimiser or argument.
    """
    section = {key: value for key, value in section.items() if value is not None}
    name = section.pop("name")
    if name not in names():
        raise errors.unknown("optimizer", name, names())
    optimizer = getattr(optax, name)
    accepted = {"clip", *inspect.signature(optimizer).parameters}
    for key in section.keys() - accepted:
        raise errors.unknown(f"argument of optimizer {name!r}", key, accepted)
    varies = lambda key, value: isinstance(value, float) or key in ("learning_rate", "clip", "weight_decay")
    numbers = {key: value for key, value in section.items() if varies(key, value)}
    fixed = {key: value for key, value in section.items() if key not in numbers}

    def make(clip=None, **numbers):
        chain = [] if clip is None else [optax.clip_by_global_norm(clip)]
        return optax.chain(*chain, optimizer(**numbers, **fixed))

    return make, numbers
