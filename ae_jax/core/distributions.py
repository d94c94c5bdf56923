"""Probability distributions, as pytrees of parameters in log space, and KL divergences.

A distribution has a batch shape and an event shape. `log_prob` sums over the last `event_ndims` axes, the event, and
keeps the batch axes, against which the batch axes of the value broadcast. `sample(key, n)` puts n samples in a new
leading axis. All densities are in nats.
"""

import math
from typing import NoReturn

import flax.struct
import jax
import jax.numpy as jnp
from jaxtyping import Float, Shaped

from ae_jax.core import discrete
from ae_jax.core.errors import UserError
from ae_jax.core.types import Array, Distribution, Key

_LOG_2PI = math.log(2 * math.pi)


def _align(*arrays: Array) -> list[Array]:
    """Give all arrays the same rank by new leading axes, so that no broadcast changes a rank."""
    rank = max(jnp.ndim(array) for array in arrays)
    return [jnp.reshape(array, (1,) * (rank - jnp.ndim(array)) + jnp.shape(array)) for array in arrays]


def _flatten_events(event_ndims: int, *arrays: Array) -> list[Array]:
    """Broadcast the events of all arrays, flatten them to one axis, and align the batch axes."""
    # Over grey images [..., 28, 28, 1] XLA:CPU fuses arithmetic and sum in loops as long as the last axis. That is 15
    # times slower than along one long axis.
    event = jnp.broadcast_shapes(*(jnp.shape(array)[-event_ndims:] for array in arrays))
    flat = []
    for array in arrays:
        batch = jnp.shape(array)[: max(jnp.ndim(array) - event_ndims, 0)]
        flat.append(jnp.broadcast_to(array, (*batch, *event)).reshape(*batch, -1))
    return _align(*flat)


def softplus(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Return log(1 + exp(x)), exact to rounding even where exp(x) overflows or vanishes.

    It takes one transcendental function fewer than `jax.nn.softplus`.
    """
    # Not jnp.maximum, whose derivative at 0 is a half: that of abs is 1, and the sum would have derivative 0 there.
    return jnp.where(x >= 0, x, 0) + jnp.log1p(jnp.exp(-jnp.abs(x)))


@jax.custom_jvp
def _sum_of_tails(x: Float[Array, "*batch N"]) -> Float[Array, "*batch"]:
    """Sum log(1 + exp(-|x|)), which is softplus(x) - max(x, 0), over the last axis."""
    factors, size = jnp.exp(-jnp.abs(x)), x.shape[-1]
    group = next(n for n in (16, 8, 4, 2, 1) if size % n == 0)
    if group == 1:
        return jnp.log1p(factors).sum(axis=-1)
    # Logarithms are slow. 1 + exp(-|x|) lies in [1, 2], so the product of 16 of them is safe, and one logarithm serves.
    products = (1 + factors).reshape(*x.shape[:-1], size // group, group).prod(axis=-1)
    return jnp.log(products).sum(axis=-1)


@_sum_of_tails.defjvp
def _sum_of_tails_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (x,), (dx,) = primals, tangents
    # At 0 the derivative is -1/2, because that of max(x, 0) is taken to be 1 there.
    slope = jnp.where(x >= 0, -1, 1) * jax.nn.sigmoid(-jnp.abs(x))
    return _sum_of_tails(x), (slope * dx).sum(axis=-1)


class Normal(flax.struct.PyTreeNode):
    """Independent normal distributions N(loc, exp(log_scale)^2)."""

    loc: Array  # [*batch, *event]
    log_scale: Array  # broadcasts against loc
    event_ndims: int = flax.struct.field(pytree_node=False, default=1)

    def log_prob(self, value: Float[Array, "..."]) -> Float[Array, "..."]:
        """Return the log density of `value` [..., *event], summed over the event."""
        value, loc, log_scale = _flatten_events(self.event_ndims, value, self.loc, self.log_scale)
        standardised = (value - loc) * jnp.exp(-log_scale)
        return jnp.sum(-0.5 * (jnp.square(standardised) + _LOG_2PI) - log_scale, axis=-1)

    def sample(self, key: Key, n: int) -> Float[Array, "{n} ..."]:
        """Draw n samples in a new leading axis."""
        noise = jax.random.normal(key, (n, *jnp.shape(self.loc)), jnp.result_type(self.loc))
        noise, loc, scale = _align(noise, self.loc, jnp.exp(self.log_scale))
        return loc + scale * noise

    def sample_and_log_prob(self, key: Key, n: int) -> tuple[Float[Array, "S ..."], Float[Array, "S ..."]]:
        """Draw n samples and return them with their log densities."""
        samples = self.sample(key, n)
        return samples, self.log_prob(samples)

    @property
    def mean(self) -> Float[Array, "..."]:
        """Return the mean [*batch, *event]."""
        return self.loc


class Bernoulli(flax.struct.PyTreeNode):
    """Independent Bernoulli distributions, given by the logits of their success probabilities.

    For values strictly between 0 and 1, `log_prob` is the negative cross-entropy: a loss, not a normalised density.
    """

    logits: Array  # [*batch, *event]
    event_ndims: int = flax.struct.field(pytree_node=False, default=1)

    def log_prob(self, value: Float[Array, "..."]) -> Float[Array, "..."]:
        """Return the log probability of `value` [..., *event], summed over the event."""
        # With the logit l, log p(x) = x l - log(1 + e^l). No sigmoid is taken, so no logarithm can be of zero.
        value, logits = _flatten_events(self.event_ndims, value, self.logits)
        return jnp.sum(value * logits - jnp.where(logits >= 0, logits, 0), axis=-1) - _sum_of_tails(logits)

    def sample(self, key: Key, n: int) -> Float[Array, "{n} ..."]:
        """Draw n samples of zeros and ones in a new leading axis."""
        shape = (n, *jnp.shape(self.logits))
        return jax.random.bernoulli(key, self.mean[None], shape).astype(jnp.result_type(self.logits))

    @property
    def mean(self) -> Float[Array, "..."]:
        """Return the success probabilities [*batch, *event]."""
        return jax.nn.sigmoid(self.logits)


class Laplace(flax.struct.PyTreeNode):
    """Independent Laplace distributions with location `loc` and scale exp(log_scale)."""

    loc: Array  # [*batch, *event]
    log_scale: Array  # broadcasts against loc
    event_ndims: int = flax.struct.field(pytree_node=False, default=1)

    def log_prob(self, value: Float[Array, "..."]) -> Float[Array, "..."]:
        """Return the log density of `value` [..., *event], summed over the event."""
        value, loc, log_scale = _flatten_events(self.event_ndims, value, self.loc, self.log_scale)
        return jnp.sum(-jnp.abs(value - loc) * jnp.exp(-log_scale) - log_scale - math.log(2), axis=-1)

    def sample(self, key: Key, n: int) -> Float[Array, "{n} ..."]:
        """Draw n samples in a new leading axis."""
        noise = jax.random.laplace(key, (n, *jnp.shape(self.loc)), jnp.result_type(self.loc))
        loc, log_scale, noise = _align(self.loc, self.log_scale, noise)
        return loc + jnp.exp(log_scale) * noise

    @property
    def mean(self) -> Float[Array, "..."]:
        """Return the mean [*batch, *event]."""
        return self.loc


class Categorical(flax.struct.PyTreeNode):
    """Independent choices among K classes with probabilities softmax(logits).

    Values [..., *event] are class numbers 0 .. K-1 of any dtype. Other numbers have no meaning.
    """

    logits: Array  # [*batch, *event, K]
    event_ndims: int = flax.struct.field(pytree_node=False, default=1)

    def log_prob(self, value: Shaped[Array, "..."]) -> Float[Array, "..."]:
        """Return the log probability of the classes `value` [..., *event], summed over the event."""
        value, logits = _align(jnp.asarray(value)[..., None], self.logits)
        # A comparison, because the gradient of a gather is a scatter, which is slower.
        classes = jnp.arange(logits.shape[-1]).reshape((1,) * (logits.ndim - 1) + (-1,))
        chosen = jnp.sum(jnp.where(value == classes, logits, 0), axis=-1)
        log_p = chosen - jax.nn.logsumexp(logits, axis=-1)
        return jnp.sum(log_p, axis=tuple(range(-self.event_ndims, 0)))

    def sample(self, key: Key, n: int) -> Float[Array, "{n} ..."]:
        """Draw n samples of class numbers in a new leading axis."""
        shape = (n, *jnp.shape(self.logits)[:-1])
        return jax.random.categorical(key, self.logits, shape=shape).astype(jnp.result_type(self.logits))

    @property
    def mode(self) -> Float[Array, "..."]:
        """Return the most probable class [*batch, *event] of each choice."""
        return jnp.argmax(self.logits, axis=-1).astype(jnp.result_type(self.logits))

    @property
    def mean(self) -> NoReturn:
        """Raise UserError, because class numbers cannot be averaged."""
        raise UserError("classes have no mean, because their numbers are names\nuse a metric or figure for events")


class NormalMixture(flax.struct.PyTreeNode):
    """A mixture of K normal distributions over vectors of length D, without batch axes.

    The covariances are diagonal.
    """

    logits: Array  # [K], of the weights
    loc: Array  # [K, D]
    log_scale: Array  # [K, D]

    def log_prob(self, value: Float[Array, "*batch D"]) -> Float[Array, "*batch"]:
        """Return the log density of each vector."""
        return jax.nn.logsumexp(self.joint_log_prob(value), axis=-1)

    def joint_log_prob(self, value: Float[Array, "*batch D"]) -> Float[Array, "*batch K"]:
        """Return log p(k) + log p(value | k) for every component k."""
        components = Normal(self.loc, self.log_scale).log_prob(value[..., None, :])
        weights, components = _align(jax.nn.log_softmax(self.logits), components)
        return weights + components

    def sample(self, key: Key, n: int) -> Float[Array, "{n} D"]:
        """Draw n vectors."""
        key_component, key_noise = jax.random.split(key)
        component = jax.random.categorical(key_component, self.logits, shape=(n,))
        noise = jax.random.normal(key_noise, (n, self.loc.shape[-1]), self.loc.dtype)
        return self.loc[component] + jnp.exp(self.log_scale[component]) * noise

    @property
    def mean(self) -> Float[Array, " D"]:
        """Return the mean of the mixture."""
        return jax.nn.softmax(self.logits) @ self.loc


class PosteriorMixture(NormalMixture):
    """A mixture whose components are posteriors of learned inputs.

    It therefore shares its parameters with the encoder.
    """


def centre(distribution: Distribution) -> Shaped[Array, "..."]:
    """Return the point that represents a distribution: its mode for classes, else its mean."""
    return distribution.mode if isinstance(distribution, Categorical) else distribution.mean


def has_closed_kl(q: Distribution, p: Distribution | None) -> bool:
    """Return whether `kl_per_dimension(q, p)` has a closed form."""
    # Not isinstance: a subclass may have another density.
    return type(q) is type(p) and type(q) in (Normal, discrete.OneHot)


def kl_per_dimension(q: Distribution, p: Distribution | None) -> Float[Array, "..."]:
    """Return the closed-form KL(q || p) of every coordinate, in nats.

    Args:
      q: normal distributions, batch shape [*batch] and event [*event], or one-hot vectors.
      p: distributions of the same kind, whose batch shape broadcasts against that of `q`.

    Returns:
      Divergences [*batch, *event], not summed over the event; for one-hot vectors one number for each choice.

    Raises:
      TypeError: for distributions without a closed form.
    """
    if type(q) is discrete.OneHot and type(p) is discrete.OneHot:
        return discrete.kl(q, p)
    if type(q) is not Normal or type(p) is not Normal:
        raise TypeError(f"no closed-form KL between {type(q).__name__} and {type(p).__name__}")
    q_loc, p_loc, q_log_scale, p_log_scale = _align(q.loc, p.loc, q.log_scale, p.log_scale)
    # With r = log s_q - log s_p, KL = (e^{2r} - 1)/2 - r + (m_q - m_p)^2 / (2 s_p^2). Near q = p, expm1 keeps the small
    # difference e^{2r} - 1 exact.
    log_ratio = q_log_scale - p_log_scale
    standardised = (q_loc - p_loc) * jnp.exp(-p_log_scale)
    return 0.5 * (jnp.expm1(2 * log_ratio) + jnp.square(standardised)) - log_ratio


def standard_normal(event_shape: tuple[int, ...]) -> Normal:
    """Return N(0, I) over events of this shape, without batch axes."""
    return Normal(jnp.zeros(event_shape), jnp.zeros(event_shape), event_ndims=len(event_shape))
