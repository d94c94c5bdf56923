"""Players: objectives that each move only parameters of their own, such as a critic's, or an encoder's."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax.numpy as jnp

from ae_jax.core.errors import UserError


def by_player(terms: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    """{player: {term: .}}; terms of one player alone are those of the player ""."""
    return terms if all(isinstance(values, Mapping) for values in terms.values()) else {"": terms}


def owner(module: str, players: Sequence[str], roles: Mapping[str, str] | None = None) -> str:
    """The player whose parameters a top-level module holds: the one of its role, or of its name, else the first.

    roles: {module: player}, as a model declares them.
    """
    player = (roles or {}).get(module, module)
    return player if player in players else players[0]


def check(by_player: Mapping[str, Any], model: Any) -> None:
    """Raise UserError where encoder and decoder have objectives of their own and the model's share parameters."""
    if "encoder" in by_player and not model.encoder_is_apart:
        raise UserError(
            "this objective trains encoder and decoder apart, and this model's prior is made of its encoder\n"
            "try model.prior=standard_normal, or objective.name=iwae"
        )


def gradients(losses: Mapping[str, Any], pullback: Callable, roles: Mapping[str, str] | None) -> dict[str, Any]:
    """Of every parameter, the gradient of its own player's loss: one forward pass, one pull-back a player."""
    players = list(losses)
    pulled = {}
    for player in players:
        cotangents = {name: jnp.full_like(loss, name == player) for name, loss in losses.items()}
        pulled[player] = pullback(cotangents)[0]
    return {module: pulled[owner(module, players, roles)][module] for module in pulled[players[0]]}
