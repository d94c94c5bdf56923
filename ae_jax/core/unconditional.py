"""Distributions that models without latents return.

Their shapes are as in `ae_jax.core.distributions`.
"""

import math

import flax.struct
import jax.numpy as jnp
from jaxtyping import Float, Shaped

from ae_jax.core.types import Array, Distribution, Key


class Point(flax.struct.PyTreeNode):
    """The distribution with all mass at one value, an example that was already drawn."""

    value: Array  # [*batch, *event]
    event_ndims: int = flax.struct.field(pytree_node=False, default=1)

    def log_prob(self, value: Shaped[Array, "..."]) -> Float[Array, "..."]:
        """Return 0 for the value itself, and minus infinity for others."""
        is_own = (value == self.value).all(axis=tuple(range(-self.event_ndims, 0)))
        return jnp.where(is_own, 0.0, -jnp.inf)

    def sample(self, key: Key, n: int) -> Shaped[Array, "{n} ..."]:
        """Return the value n times, in a new leading axis. Nothing is drawn."""
        return jnp.broadcast_to(self.value[None], (n, *self.value.shape))

    @property
    def mean(self) -> Shaped[Array, "..."]:
        """Return the value [*batch, *event]."""
        return self.value


class Repeated(flax.struct.PyTreeNode):
    """One distribution over vectors, repeated for every example of a batch.

    Its values have the shape of the examples.

    Args:
      base: a distribution over vectors [D] with empty batch shape.
      batch: the batch shape.
      event: the event shape, of D values.
    """

    base: Distribution
    batch: tuple[int, ...] = flax.struct.field(pytree_node=False)
    event: tuple[int, ...] = flax.struct.field(pytree_node=False)

    def log_prob(self, value: Float[Array, "..."]) -> Float[Array, "..."]:
        """Return the log density [*batch] of values that broadcast against [*batch, *event]."""
        rows = value.reshape(*value.shape[: value.ndim - len(self.event)], -1)
        return jnp.broadcast_to(self.base.log_prob(rows), self.batch)

    def sample(self, key: Key, n: int) -> Float[Array, "{n} ..."]:
        """Draw n samples in a new leading axis, [n, *batch, *event]."""
        return self.base.sample(key, n * math.prod(self.batch)).reshape(n, *self.batch, *self.event)

    @property
    def mean(self) -> Float[Array, "..."]:
        """Return the point that represents the distribution, [*batch, *event]."""
        return jnp.broadcast_to(self.base.mean.reshape(self.event), (*self.batch, *self.event))
