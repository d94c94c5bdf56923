"""Masses over the levels of pixels: a mixture of logistic distributions, cut into as many bins as there are levels."""

from typing import Any

import flax.struct
import jax
import jax.numpy as jnp

from ae_jax.core.distributions import softplus


@flax.struct.dataclass
class LogisticMixture:
    """Pixels of C channels, each from one of K components, in which a channel depends on those before it (Salimans et
    al. 2017, "PixelCNN++", arXiv:1701.05517, section 2).

    Values are level / (levels - 1) in [0, 1]; locations and scales are of 2 value - 1, as in the paper. The lowest and
    the highest level take what the logistic distributions have beyond them, so that the masses sum to one.
    """

    logits: Any  # [*batch, H, W, K], of the weights
    loc: Any  # [*batch, H, W, C, K]
    log_scale: Any  # as loc
    coefficients: Any  # [*batch, H, W, C (C - 1) / 2, K]: of g on r, of b on r, of b on g, ...
    levels: int = flax.struct.field(pytree_node=False, default=256)
    event_ndims: int = flax.struct.field(pytree_node=False, default=3)

    @property
    def _half(self) -> float:
        """Half the distance between levels."""
        return 1 / (self.levels - 1)

    def _locations(self, before: list) -> Any:
        """[*batch, H, W, K] of the channel that follows those in `before`, each [..., H, W, K or 1] in [-1, 1]."""
        first = len(before) * (len(before) - 1) // 2
        shifts = (self.coefficients[..., first + i, :] * value for i, value in enumerate(before))
        return sum(shifts, self.loc[..., len(before), :])

    def log_prob(self, value):
        """[*batch, H, W, C] -> [*batch]: log masses, summed over pixels and channels."""
        # Leading axes up to a common rank: values with sample axes meet parameters without, or the reverse.
        missing = jnp.ndim(value) + 1 - self.loc.ndim
        p = jax.tree.map(lambda leaf: leaf.reshape(*[1] * missing, *leaf.shape), self)
        value = 2 * jnp.reshape(value, (*[1] * -missing, *jnp.shape(value))) - 1
        channels = [value[..., c, None] for c in range(value.shape[-1])]
        masses = sum(
            p._log_mass(channel, p._locations(channels[:c]), p.log_scale[..., c, :])
            for c, channel in enumerate(channels)
        )
        per_pixel = jax.nn.logsumexp(jax.nn.log_softmax(p.logits) + masses, axis=-1)
        return per_pixel.sum(axis=(-2, -1))

    def _log_mass(self, value, loc, log_scale):
        """log [F(upper) - F(lower)] of the bin around `value`, where F is the logistic distribution's.

        With u and l the standardised ends, sigmoid(u) - sigmoid(l) = sigmoid(u) sigmoid(-l) (1 - e^(l - u)): a product
        of what is exact however far out the bin lies, where the difference cancels.
        """
        inverse = jnp.exp(-log_scale)
        upper, lower = (value + self._half - loc) * inverse, (value - self._half - loc) * inverse
        is_lowest, is_highest = value < self._half - 1, value > 1 - self._half
        inside = jnp.log(-jnp.expm1(-2 * self._half * inverse))
        return (
            jnp.where(is_highest, 0, -softplus(-upper))
            + jnp.where(is_lowest, 0, -softplus(lower))
            + jnp.where(is_lowest | is_highest, 0, inside)
        )

    def sample(self, key, n: int):
        """[n, *batch, H, W, C], at the levels."""
        component_key, *keys = jax.random.split(key, 1 + self.loc.shape[-2])
        component = jax.random.categorical(component_key, self.logits, shape=(n, *self.logits.shape[:-1]))
        p = jax.tree.map(lambda leaf: leaf[None], self)
        chosen = lambda of_components: jnp.take_along_axis(of_components, component[..., None], axis=-1)
        channels = []
        for c, channel_key in enumerate(keys):
            noise = jax.random.logistic(channel_key, (*component.shape, 1), self.loc.dtype)
            loc, scale = chosen(p._locations(channels)), jnp.exp(chosen(p.log_scale[..., c, :]))
            value = loc + scale * noise
            level = jnp.round((jnp.clip(value, -1, 1) + 1) / (2 * self._half))
            channels.append(2 * self._half * level - 1)
        return (jnp.concatenate(channels, axis=-1) + 1) / 2

    @property
    def mean(self):
        """[*batch, H, W, C]: of each component, the means of its channels given the means of those before.

        Of a logistic variable clipped to [-1, 1] the mean is -1 + s [softplus((m + 1) / s) - softplus((m - 1) / s)];
        rounding to levels changes it by less than half of one.
        """
        weights, channels = jax.nn.softmax(self.logits), []
        for c in range(self.loc.shape[-2]):
            loc, scale = self._locations(channels), jnp.exp(self.log_scale[..., c, :])
            channels.append(scale * (softplus((loc + 1) / scale) - softplus((loc - 1) / scale)) - 1)
        means = [((weights * channel).sum(axis=-1, keepdims=True) + 1) / 2 for channel in channels]
        return jnp.concatenate(means, axis=-1)
