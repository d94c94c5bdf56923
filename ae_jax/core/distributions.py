"""Probability distributions as pytrees of parameters in log space, and the divergences between them.

A distribution has a batch shape and an event shape. `log_prob` sums over the last `event_ndims` axes (the event) and
keeps the batch; `sample(key, n)` puts n samples in a new leading axis. All densities are in nats.
"""

import math
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp

from ae_jax.core.errors import UserError

_LOG_2PI = math.log(2 * math.pi)


def _aligned(*arrays):
    """The arrays with leading axes up to a common rank: a distribution without batch or sample axes meets one with."""
    rank = max(map(jnp.ndim, arrays))
    return [jnp.reshape(a, (1,) * (rank - jnp.ndim(a)) + jnp.shape(a)) for a in arrays]


def _events(event_ndims: int, *arrays):
    """The arrays with their event as one last axis, and leading axes up to a common rank."""
    # Over grey images [..., 28, 28, 1] XLA:CPU fuses arithmetic and sum in loops as long as the last axis, 15 times
    # slower than along one axis.
    event = jnp.broadcast_shapes(*(jnp.shape(a)[-event_ndims:] for a in arrays))
    batches = [jnp.shape(a)[: max(jnp.ndim(a) - event_ndims, 0)] for a in arrays]
    rows = [jnp.broadcast_to(a, (*b, *event)).reshape(*b, -1) for a, b in zip(arrays, batches, strict=True)]
    return _aligned(*rows)


def softplus(x):
    """log(1 + exp(x)) with one transcendental fewer than `jax.nn.softplus`, exact to rounding at either extreme."""
    # Not jnp.maximum: its derivative at 0 is a half and that of abs is 1, and the sum would be 0 there.
    return jnp.where(x >= 0, x, 0) + jnp.log1p(jnp.exp(-jnp.abs(x)))


@jax.custom_jvp
def _tails(x):
    """The sum over the last axis of log(1 + exp(-|x|)), which softplus(x) is above max(x, 0): [..., N] -> [...]."""
    factors, size = jnp.exp(-jnp.abs(x)), x.shape[-1]
    group = next(n for n in (16, 8, 4, 2, 1) if size % n == 0)
    if group == 1:
        return jnp.log1p(factors).sum(axis=-1)
    # 1 + exp(-|x|) lies in [1, 2]: one logarithm does for the product of up to 16 of them.
    return jnp.log((1 + factors).reshape(*x.shape[:-1], size // group, group).prod(axis=-1)).sum(axis=-1)


@_tails.defjvp
def _tails_jvp(primals, tangents):
    (x,), (dx,) = primals, tangents
    # At 0 it is -1/2, as the derivative of max(x, 0) is taken to be 1 there.
    return _tails(x), (jnp.where(x >= 0, -1, 1) * jax.nn.sigmoid(-jnp.abs(x)) * dx).sum(axis=-1)


@flax.struct.dataclass
class Normal:
    """Independent normal distributions N(loc, exp(log_scale)^2)."""

    loc: Any  # [*batch, *event]
    log_scale: Any  # broadcasts against loc
    event_ndims: int = flax.struct.field(pytree_node=False, default=1)

    def log_prob(self, value):
        value, loc, log_scale = _events(self.event_ndims, value, self.loc, self.log_scale)
        standardised = (value - loc) * jnp.exp(-log_scale)
        return jnp.sum(-0.5 * (jnp.square(standardised) + _LOG_2PI) - log_scale, axis=-1)

    def sample(self, key, n: int):
        noise = jax.random.normal(key, (n, *jnp.shape(self.loc)), jnp.result_type(self.loc))
        noise, loc, scale = _aligned(noise, self.loc, jnp.exp(self.log_scale))
        return loc + scale * noise

    def sample_and_log_prob(self, key, n: int):
        """What a posterior needs: samples, and their densities."""
        samples = self.sample(key, n)
        return samples, self.log_prob(samples)

    @property
    def mean(self):
        return self.loc


@flax.struct.dataclass
class Bernoulli:
    """Independent Bernoulli distributions with success log-odds `logits`.

    For values strictly between 0 and 1 `log_prob` is the negative cross-entropy: a loss, not a normalised density.
    """

    logits: Any  # [*batch, *event]
    event_ndims: int = flax.struct.field(pytree_node=False, default=1)

    def log_prob(self, value):
        # log p(x) = x l - log(1 + e^l): no sigmoid is ever taken, so no logarithm of zero.
        value, logits = _events(self.event_ndims, value, self.logits)
        return jnp.sum(value * logits - jnp.where(logits >= 0, logits, 0), axis=-1) - _tails(logits)

    def sample(self, key, n: int):
        shape = (n, *jnp.shape(self.logits))
        return jax.random.bernoulli(key, self.mean[None], shape).astype(jnp.result_type(self.logits))

    @property
    def mean(self):
        return jax.nn.sigmoid(self.logits)


@flax.struct.dataclass
class Laplace:
    """Independent Laplace distributions of location `loc` and scale exp(log_scale)."""

    loc: Any  # [*batch, *event]
    log_scale: Any  # broadcasts against loc
    event_ndims: int = flax.struct.field(pytree_node=False, default=1)

    def log_prob(self, value):
        value, loc, log_scale = _events(self.event_ndims, value, self.loc, self.log_scale)
        return jnp.sum(-jnp.abs(value - loc) * jnp.exp(-log_scale) - log_scale - math.log(2), axis=-1)

    def sample(self, key, n: int):
        noise = jax.random.laplace(key, (n, *jnp.shape(self.loc)), jnp.result_type(self.loc))
        loc, log_scale, noise = _aligned(self.loc, self.log_scale, noise)
        return loc + jnp.exp(log_scale) * noise

    @property
    def mean(self):
        return self.loc


@flax.struct.dataclass
class Categorical:
    """Independent choices among K classes, with probabilities softmax(logits); values are the numbers of classes.

    Values [*batch, *event], 0 .. K-1, may be of any dtype; a number that is no class has no meaning here.
    """

    logits: Any  # [*batch, *event, K]
    event_ndims: int = flax.struct.field(pytree_node=False, default=1)

    def log_prob(self, value):
        value, logits = _aligned(jnp.asarray(value)[..., None], self.logits)
        # A comparison instead of a gather, whose gradient would be a scatter.
        classes = jnp.arange(logits.shape[-1]).reshape((1,) * (logits.ndim - 1) + (-1,))
        chosen = jnp.sum(jnp.where(value == classes, logits, 0), axis=-1)
        log_p = chosen - jax.nn.logsumexp(logits, axis=-1)
        return jnp.sum(log_p, axis=tuple(range(-self.event_ndims, 0)))

    def sample(self, key, n: int):
        shape = (n, *jnp.shape(self.logits)[:-1])
        return jax.random.categorical(key, self.logits, shape=shape).astype(jnp.result_type(self.logits))

    @property
    def mode(self):
        """The most probable class of each choice."""
        return jnp.argmax(self.logits, axis=-1).astype(jnp.result_type(self.logits))

    @property
    def mean(self):
        raise UserError("classes have no mean, as their numbers are names\nexpected a metric or figure for events")


@flax.struct.dataclass
class NormalMixture:
    """A mixture of K normal distributions with diagonal covariances over vectors of length D; empty batch shape."""

    logits: Any  # [K], of the weights
    loc: Any  # [K, D]
    log_scale: Any  # [K, D]

    def log_prob(self, value):
        """[..., D] -> [...]."""
        return jax.nn.logsumexp(self.joint_log_prob(value), axis=-1)

    def joint_log_prob(self, value):
        """log p(k) + log p(value | k) of every component k: [..., D] -> [..., K]."""
        components = Normal(self.loc, self.log_scale).log_prob(value[..., None, :])
        weights, components = _aligned(jax.nn.log_softmax(self.logits), components)
        return weights + components

    def sample(self, key, n: int):
        """[n, D]."""
        key_component, key_noise = jax.random.split(key)
        component = jax.random.categorical(key_component, self.logits, shape=(n,))
        noise = jax.random.normal(key_noise, (n, self.loc.shape[-1]), self.loc.dtype)
        return self.loc[component] + jnp.exp(self.log_scale[component]) * noise

    @property
    def mean(self):
        """[D]."""
        return jax.nn.softmax(self.logits) @ self.loc


@flax.struct.dataclass
class PosteriorMixture(NormalMixture):
    """A mixture whose components are posteriors, so that it shares parameters with the encoder."""


@flax.struct.dataclass
class Point:
    """All mass at one value: examples that were drawn already, by a model whose draws need nothing else."""

    mean: Any  # [*batch, *event]

    def sample(self, key, n: int):
        """Return the value n times, in a new leading axis; nothing is drawn."""
        return jnp.broadcast_to(self.mean[None], (n, *self.mean.shape))


@flax.struct.dataclass
class Repeated:
    """One distribution over vectors, for every example of a batch and in the shape of the examples.

    Args:
      base: a distribution over vectors [D] with empty batch shape.
      batch: the batch shape.
      event: the event shape, of D values.
    """

    base: Any
    batch: tuple[int, ...] = flax.struct.field(pytree_node=False)
    event: tuple[int, ...] = flax.struct.field(pytree_node=False)

    def log_prob(self, value):
        """Return log p(value) in nats, [*batch], of values that broadcast against [*batch, *event]."""
        rows = value.reshape(*value.shape[: value.ndim - len(self.event)], -1)
        return jnp.broadcast_to(self.base.log_prob(rows), self.batch)

    def sample(self, key, n: int):
        """Return n samples in a new leading axis, [n, *batch, *event]."""
        return self.base.sample(key, n * math.prod(self.batch)).reshape(n, *self.batch, *self.event)

    @property
    def mean(self):
        """Return the point that stands for the distribution, [*batch, *event]."""
        return jnp.broadcast_to(self.base.mean.reshape(self.event), (*self.batch, *self.event))


def centre(distribution):
    """What stands for a distribution over data: its mean, or of classes the most probable ones."""
    return distribution.mode if isinstance(distribution, Categorical) else distribution.mean


def has_closed_kl(q, p) -> bool:
    """Whether `kl_per_dimension(q, p)` has a closed form."""
    return type(q) is Normal and type(p) is Normal


def kl_per_dimension(q, p):
    """Closed-form KL(q || p) of every coordinate, in nats, not summed over the event. TypeError where there is none.

    With r = log s_q - log s_p:  KL = (e^{2r} - 1)/2 - r + (m_q - m_p)^2 / (2 s_p^2);  expm1 keeps it exact near q = p.
    """
    if not has_closed_kl(q, p):
        raise TypeError(f"no closed-form KL between {type(q).__name__} and {type(p).__name__}")
    q_loc, p_loc, q_log_scale, p_log_scale = _aligned(q.loc, p.loc, q.log_scale, p.log_scale)
    log_ratio = q_log_scale - p_log_scale
    standardised = (q_loc - p_loc) * jnp.exp(-p_log_scale)
    return 0.5 * (jnp.expm1(2 * log_ratio) + jnp.square(standardised)) - log_ratio


def standard_normal(event_shape: tuple[int, ...]) -> Normal:
    """N(0, I) over an event of this shape, with empty batch shape."""
    return Normal(jnp.zeros(event_shape), jnp.zeros(event_shape), event_ndims=len(event_shape))
