"""From an optimizer section to Optax: what is fixed, and the numbers that may differ at every step and in every run."""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import optax
from ml_collections import ConfigDict

from ae_jax.core import errors
from ae_jax.core.errors import UserError


@functools.cache
def names() -> list[str]:
    """The optimisers of Optax: its functions that take a learning rate."""
    functions = {key: value for key, value in vars(optax).items() if inspect.isfunction(value) and key[0] != "_"}
    takes_rate = lambda function: "learning_rate" in inspect.signature(function).parameters
    return sorted(key for key, value in functions.items() if takes_rate(value) and not key.startswith("scale_by_"))


def make_tx(section: Mapping[str, Any]) -> tuple[Callable[..., optax.GradientTransformation], dict[str, Any]]:
    """(make, numbers): `make(**numbers)` is the transformation, and the numbers may be traced values or schedules.

    section: name (an optimiser of Optax), learning_rate, clip (bound on the global norm of the gradient; None: none),
        any other argument of that optimiser (None leaves its default), and players: {module: section}, the sections of
        those top-level modules of parameters that another optimiser moves; they state only their difference.
    Floats and the learning rate are the numbers; strings, booleans and integers are fixed.
    Raises UserError for an unknown optimiser or argument.
    """
    section = dict(section)
    players = section.pop("players", {})
    if not all(isinstance(one, Mapping | ConfigDict) for one in (players, *getattr(players, "values", list)())):
        plain = getattr(players, "to_dict", lambda: players)()
        raise UserError(f"optimizer.players is {plain!r}\nexpected sections, such as dict(critic=dict(b1=0.9))")
    others = {module: {**section, **other} for module, other in players.items()}
    make, numbers = _single(section)
    if not others:
        return make, numbers
    for other in others.values():
        other.pop("players", None)
    made = {module: _single(other) for module, other in others.items()}

    def make_all(players, **numbers):
        parts = {module: make_one(**players[module]) for module, (make_one, _) in made.items()}
        label = lambda params: {module: module if module in parts else "" for module in params}
        return optax.partition({"": make(**numbers), **parts}, label)

    return make_all, {**numbers, "players": {module: numbers for module, (_, numbers) in made.items()}}


def _single(section):
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
