"""A batch in pieces: its gradient and its metrics, added up one piece after the other in the memory that one takes."""

from collections.abc import Callable

import jax
import jax.numpy as jnp


def over_pieces(gradient: Callable, pieces: int) -> Callable:
    """The function gradient(params, extra, batch, keys, hp) -> (gradients, metrics, extra), of a batch in `pieces`.

    Gradients and metrics are means over the batch's unmasked examples, as of the batch at once, but for rounding. What
    is random is drawn for each piece, what is a statistic of a batch is one of a piece, and `extra` goes from piece to
    piece. The pieces must divide the batch.
    """
    if pieces == 1:
        return gradient
    gradient = jax.jit(gradient, inline=True)  # traced once, for the shapes and for the loop

    def added_up(params, extra, batch, keys, hp):
        # Piece i has the examples i, i + pieces, ...: where devices share a batch, each cuts its own part.
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

            # A piece without examples, at the end of an epoch, has neither a mean nor statistics of a batch.
            return jax.lax.cond(share > 0, added, lambda: (totals, extra)), None

        first = jax.tree.map(lambda leaf: leaf[0], parts)
        *shapes, _ = jax.eval_shape(gradient, params, extra, first, keys, hp)
        zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
        (totals, extra), _ = jax.lax.scan(add, (zeros, extra), (jnp.arange(pieces), shares, parts))
        return *totals, extra

    return added_up
