"""Gradient accumulation: the gradient of a large batch, in the memory of one piece of it."""

from collections.abc import Callable

import jax
import jax.numpy as jnp


def over_pieces(gradient: Callable, pieces: int) -> Callable:
    """Return a function like `gradient` that computes it piece by piece.

    Gradients and metrics are means over the unmasked examples of the whole batch. They differ from those of `gradient`
    by rounding. Each piece has its own random draws. Batch normalisation and other statistics of a batch are computed
    within each piece. The variables in `extra` pass from one piece to the next.

    Args:
      gradient: a function (params, extra, batch, keys, hp) -> (gradients, metrics, extra).
      pieces: the number of pieces, which must divide the batch.
    """
    if pieces == 1:
        return gradient
    # Jitted so that JAX traces it once, although it is called for the shapes and in the loop.
    gradient = jax.jit(gradient, inline=True)

    def accumulated(params, extra, batch, keys, hp):
        # Piece i has the examples i, i + pieces, ... A batch that is sharded over devices is then cut on each device,
        # without moving examples between them.
        parts = jax.tree.map(lambda leaf: leaf.reshape(-1, pieces, *leaf.shape[1:]).swapaxes(0, 1), batch)
        counts = parts["mask"].sum(axis=1) if "mask" in parts else jnp.ones(pieces)
        shares = counts / jnp.maximum(counts.sum(), 1)

        def add(carry, piece):
            number, share, part = piece
            totals, extra = carry
            part_keys = {name: jax.random.fold_in(key, number) for name, key in keys.items()}

            def added():
                *found, new = gradient(params, extra, part, part_keys, hp)
                return jax.tree.map(lambda total, value: total + share * value, totals, found), new

            # At the end of an epoch a piece may have only padding. It must not update the statistics in `extra`.
            return jax.lax.cond(share > 0, added, lambda: (totals, extra)), None

        first = jax.tree.map(lambda leaf: leaf[0], parts)
        *shapes, _ = jax.eval_shape(gradient, params, extra, first, keys, hp)
        zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
        (totals, extra), _ = jax.lax.scan(add, (zeros, extra), (jnp.arange(pieces), shares, parts))
        return *totals, extra

    return accumulated
