"""Optimisers of Optax from the section `optimizer` of a config."""

import functools
import inspect
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import optax
from ml_collections import ConfigDict

from ae_jax.core import errors, forms, lookup, options
from ae_jax.core.errors import UserError

# Optimisers that need more than a gradient: the line search of L-BFGS evaluates the loss itself.
_NEED_THE_LOSS = ("lbfgs",)
# The keys of the section that are no arguments of the optimiser.
_OWN = ("name", "clip", "players")


@functools.cache
def names() -> list[str]:
    """List the optimisers of Optax that take a learning rate and need only a gradient."""
    functions = {key: value for key, value in vars(optax).items() if inspect.isfunction(value) and key[0] != "_"}
    return sorted(
        key
        for key, function in functions.items()
        if "learning_rate" in inspect.signature(function).parameters
        and not key.startswith("scale_by_")
        and key not in _NEED_THE_LOSS
    )


def find(name: str) -> Callable[..., optax.GradientTransformation]:
    """Return the optimiser of Optax with this name, or the user's own.

    Args:
      name: a name in `names()`, or "package.module:Name".

    Raises:
      UserError: if there is no such optimiser.
    """
    if ":" in name:
        return lookup.function(sys.modules[__name__], name, ("learning_rate",), "optimizer")
    if name not in names():
        raise errors.unknown("optimizer", name, names())
    return getattr(optax, name)


def make_tx(section: Mapping[str, Any]) -> tuple[Callable[..., optax.GradientTransformation], dict[str, Any]]:
    """Return (make, numbers) for an optimizer section: `make(**numbers)` is a transformation.

    Args:
      section: the keys name (see `find`), learning_rate, clip (a bound on the global norm of the gradient), any other
        argument of the optimiser, and players, {module: section}: these top-level modules of the parameters have an
        optimiser of their own, whose section states only what differs. A key that is None is as good as absent.

    Returns:
      make: a function of the numbers, which may be traced; of a schedule, its value at a step.
      numbers: the numbers and the texts of schedules in the section.

    Raises:
      UnknownKey: the optimiser has no such argument.
      UserError: the optimiser is unknown, or a key has a value that it may not have.
    """
    shared = {key: value for key, value in section.items() if key != "players"}
    make, numbers = _single(shared, "optimizer")
    parts = {
        module: _single({**shared, **other}, f"optimizer.players.{module}")
        for module, other in _players(section).items()
    }
    if not parts:
        return make, numbers

    def make_all(players, **numbers):
        transformations = {module: make_one(**players[module]) for module, (make_one, _) in parts.items()}

        def owners(params):
            return {module: module if module in parts else "" for module in params}

        return optax.partition({"": make(**numbers), **transformations}, owners)

    return make_all, {**numbers, "players": {module: its_numbers for module, (_, its_numbers) in parts.items()}}


def check_players(section: Mapping[str, Any], modules: Iterable[str]) -> None:
    """Check that every player of the section is one of the model's top-level modules.

    Args:
      section: the section `optimizer`.
      modules: the names of the model's top-level modules.

    Raises:
      UnknownKey: if a player is none of them.
    """
    modules = list(modules)
    for player in _players(section):
        if player not in modules:
            valid = [f"optimizer.players.{module}" for module in modules]
            raise errors.UnknownKey(f"optimizer.players.{player}", valid, "a model with these modules")


def _players(section: Mapping[str, Any]) -> dict[str, Any]:
    """Return {module: section} of the players that are not None, or raise UserError."""
    players = section.get("players") or {}
    if not isinstance(players, Mapping | ConfigDict) or not all(
        isinstance(one, Mapping | ConfigDict | None) for one in players.values()
    ):
        plain = players.to_dict() if isinstance(players, ConfigDict) else players
        raise UserError(
            f"config key 'optimizer.players' is {plain!r}\nexpected a section for each: dict(critic=dict(b1=0.9))"
        )
    return {module: one for module, one in players.items() if one is not None}


def _single(section: Mapping[str, Any], where: str) -> tuple[Callable[..., optax.GradientTransformation], dict]:
    """Return (make, numbers) of a section without players; `where` is its dotted name."""
    optimizer = find(section["name"])
    given = {key: value for key, value in section.items() if key not in _OWN}
    found = options.resolve(optimizer, given, where, f"optimizer {section['name']!r}", also=_OWN)
    numbers = found.numbers
    if section.get("clip") is not None:
        forms.check(f"{where}.clip", section["clip"], forms.of(forms.Number))
        numbers = {**numbers, "clip": section["clip"]}

    def make(clip=None, **numbers):
        clipped = [] if clip is None else [optax.clip_by_global_norm(clip)]
        return optax.chain(*clipped, optimizer(**numbers, **found.constants))

    return make, numbers
