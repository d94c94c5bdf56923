"""Mixtures of logistic distributions over pixels, discretised into one bin per level."""

import flax.struct
import jax
import jax.numpy as jnp
from jaxtyping import Float

from ae_jax.core.distributions import softplus
from ae_jax.core.types import Array, Key


class LogisticMixture(flax.struct.PyTreeNode):
    """Pixels of C channels, each drawn from one of K components.

    Within a component, the location of a channel depends linearly on the channels before it (Salimans et al. 2017,
    "PixelCNN++", arXiv:1701.05517, section 2). Values are level / (levels - 1) in [0, 1]. Locations and scales refer to
    2 value - 1 in [-1, 1], as in the paper. The lowest and the highest level receive the mass that the logistic
    distributions have beyond them, so that the masses sum to one.
    """

    logits: Array  # [*batch, H, W, K], of the weights
    loc: Array  # [*batch, H, W, C, K]
    log_scale: Array  # shaped like loc
    coefficients: Array  # [*batch, H, W, C (C - 1) / 2, K]: of g on r, of b on r, of b on g, ...
    levels: int = flax.struct.field(pytree_node=False, default=256)
    event_ndims: int = flax.struct.field(pytree_node=False, default=3)

    @property
    def _half_bin(self) -> float:
        """Return half the distance between levels, in units of 2 value - 1."""
        return 1 / (self.levels - 1)

    def _location(self, before: list[Array]) -> Array:
        """Return the location [*batch, H, W, K] of the next channel.

        Args:
          before: the channels before it, each [..., H, W, K or 1] in [-1, 1].
        """
        first = len(before) * (len(before) - 1) // 2
        location: Array = self.loc[..., len(before), :]
        for i, value in enumerate(before):
            location = location + self.coefficients[..., first + i, :] * value
        return location

    def log_prob(self, value: Float[Array, "*batch H W C"]) -> Float[Array, "..."]:
        """Return the log mass of `value` [*batch], summed over pixels and channels."""
        # Give the side that lacks sample or batch axes new leading axes.
        missing = value.ndim + 1 - self.loc.ndim
        p: LogisticMixture = jax.tree.map(lambda leaf: leaf.reshape(*[1] * missing, *leaf.shape), self)
        value = 2 * jnp.reshape(value, (*[1] * -missing, *value.shape)) - 1
        channels = [value[..., c, None] for c in range(value.shape[-1])]
        log_masses = []
        for c, channel in enumerate(channels):
            log_masses.append(p._log_mass(channel, p._location(channels[:c]), p.log_scale[..., c, :]))
        per_pixel = jax.nn.logsumexp(jax.nn.log_softmax(p.logits) + sum(log_masses), axis=-1)
        return per_pixel.sum(axis=(-2, -1))

    def _log_mass(self, value: Array, loc: Array, log_scale: Array) -> Array:
        """Return the log mass of the bin around `value` under a logistic distribution."""
        # With u and l the standardised ends, the mass is sigmoid(u) - sigmoid(l) = sigmoid(u) sigmoid(-l)
        # (1 - e^(l - u)). Each factor is exact however far out the bin lies, where the difference would cancel.
        inverse = jnp.exp(-log_scale)
        upper = (value + self._half_bin - loc) * inverse
        lower = (value - self._half_bin - loc) * inverse
        is_lowest, is_highest = value < self._half_bin - 1, value > 1 - self._half_bin
        inside = jnp.log(-jnp.expm1(-2 * self._half_bin * inverse))
        return (
            jnp.where(is_highest, 0, -softplus(-upper))
            + jnp.where(is_lowest, 0, -softplus(lower))
            + jnp.where(is_lowest | is_highest, 0, inside)
        )

    def sample(self, key: Key, n: int) -> Float[Array, "{n} *batch H W C"]:
        """Draw n images, whose values lie at the levels."""
        component_key, *keys = jax.random.split(key, 1 + self.loc.shape[-2])
        component = jax.random.categorical(component_key, self.logits, shape=(n, *self.logits.shape[:-1]))
        p: LogisticMixture = jax.tree.map(lambda leaf: leaf[None], self)

        def of_component(parameter: Array) -> Array:
            return jnp.take_along_axis(parameter, component[..., None], axis=-1)

        channels: list[Array] = []
        for c, channel_key in enumerate(keys):
            noise = jax.random.logistic(channel_key, (*component.shape, 1), self.loc.dtype)
            loc, scale = of_component(p._location(channels)), jnp.exp(of_component(p.log_scale[..., c, :]))
            value = loc + scale * noise
            level = jnp.round((jnp.clip(value, -1, 1) + 1) / (2 * self._half_bin))
            channels.append(2 * self._half_bin * level - 1)
        return (jnp.concatenate(channels, axis=-1) + 1) / 2

    @property
    def mean(self) -> Float[Array, "*batch H W C"]:
        """Return the mean image, where each channel is conditioned on the means of those before."""
        # A logistic variable clipped to [-1, 1] has the mean -1 + s [softplus((m + 1) / s) - softplus((m - 1) / s)].
        # Rounding to levels changes it by less than half a level.
        weights = jax.nn.softmax(self.logits)
        channels: list[Array] = []
        for c in range(self.loc.shape[-2]):
            loc, scale = self._location(channels), jnp.exp(self.log_scale[..., c, :])
            channels.append(scale * (softplus((loc + 1) / scale) - softplus((loc - 1) / scale)) - 1)
        means = [((weights * channel).sum(axis=-1, keepdims=True) + 1) / 2 for channel in channels]
        return jnp.concatenate(means, axis=-1)
