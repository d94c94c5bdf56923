"""Players: several losses in one training step, each with its own part of the parameters.

An adversarial autoencoder has a critic that minimises its own loss. Some importance-weighted objectives have separate
losses for encoder and decoder.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax.numpy as jnp

from ae_jax.core.errors import UserError


def by_player(terms: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    """Return the terms of an objective as {player: {term: values}}.

    Args:
      terms: what an objective returned: {player: {term: values}}, or {term: values}, whose player is called "".
    """
    return terms if all(isinstance(values, Mapping) for values in terms.values()) else {"": terms}


def owner(module: str, players: Sequence[str], roles: Mapping[str, str] | None = None) -> str:
    """Return the player that moves the parameters of a top-level module.

    It is the player of the module's role, or else the player of the module's name, or else the first player.

    Args:
      module: the name of a top-level module of a model.
      players: the names of the players.
      roles: {module: player}, as a model declares them.
    """
    player = (roles or {}).get(module, module)
    return player if player in players else players[0]


def reported(losses: Mapping[str, Any]) -> Any:
    """Return the loss that is logged: the sum over players, or that of the decoder alone.

    An encoder and a decoder maximise bounds on the same log p(x), and the sum of two bounds would be no bound.

    Args:
      losses: {player: loss}.
    """
    return losses["decoder"] if losses.keys() == {"encoder", "decoder"} else sum(losses.values())


def check(by_player: Mapping[str, Any], model: Any) -> None:
    """Check that encoder and decoder share no parameters if they are trained separately.

    Args:
      by_player: the terms of the objective, {player: {term: values}}.
      model: the model that is trained.

    Raises:
      UserError: if they share parameters.
    """
    if "encoder" in by_player and not model.encoder_is_apart:
        raise UserError(
            "this objective trains encoder and decoder separately, but this model's prior is made of its encoder\n"
            "try model.prior=standard_normal, or objective.name=iwae"
        )


def gradients(losses: Mapping[str, Any], pullback: Callable, roles: Mapping[str, str] | None) -> dict[str, Any]:
    """Return, for every parameter, the gradient of the loss of the player that moves it.

    There is one forward pass for all players, and one backward pass for each.

    Args:
      losses: {player: loss}.
      pullback: the function that `jax.vjp` returned for these losses.
      roles: {module: player}, as a model declares them.
    """
    players = list(losses)
    pulled = {}
    for player in players:
        # One for this player's loss and zero for all others.
        cotangents = {name: jnp.full_like(loss, name == player) for name, loss in losses.items()}
        pulled[player] = pullback(cotangents)[0]
    return {module: pulled[owner(module, players, roles)][module] for module in pulled[players[0]]}
