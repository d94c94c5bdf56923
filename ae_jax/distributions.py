"""Probability distributions as pytrees of parameters in log space, and the divergences between them.

A distribution has a batch shape and an event shape. `log_prob` and `entropy` sum over the last `event_ndims` axes (the
event) and keep the batch; `sample(key, n)` puts n samples in a new leading axis. All densities are in nats.
"""

import math
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp

_LOG_2PI = math.log(2 * math.pi)


def _sum_event(values, event_ndims: int):
    return jnp.sum(values, axis=tuple(range(-event_ndims, 0)))


def softplus(x):
    """log(1 + exp(x)) with one transcendental fewer than `jax.nn.softplus`, exact to rounding at either extreme."""
    return jnp.maximum(x, 0) + jnp.log1p(jnp.exp(-jnp.abs(x)))


@flax.struct.dataclass
class Normal:
    """Independent normal distributions N(loc, exp(log_scale)^2)."""

    loc: Any  # [*batch, *event]
    log_scale: Any  # broadcasts against loc
    event_ndims: int = flax.struct.field(pytree_node=False, default=1)

    def log_prob(self, value):
        standardised = (value - self.loc) * jnp.exp(-self.log_scale)
        return _sum_event(-0.5 * (jnp.square(standardised) + _LOG_2PI) - self.log_scale, self.event_ndims)

    def sample(self, key, n: int):
        noise = jax.random.normal(key, (n, *jnp.shape(self.loc)), jnp.result_type(self.loc))
        return self.loc[None] + jnp.exp(self.log_scale) * noise

    def entropy(self):
        return _sum_event(self.log_scale + 0.5 * (1 + _LOG_2PI) + jnp.zeros_like(self.loc), self.event_ndims)

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
        return _sum_event(value * self.logits - softplus(self.logits), self.event_ndims)

    def sample(self, key, n: int):
        shape = (n, *jnp.shape(self.logits))
        return jax.random.bernoulli(key, self.mean[None], shape).astype(jnp.result_type(self.logits))

    def entropy(self):
        return _sum_event(softplus(self.logits) - self.mean * self.logits, self.event_ndims)

    @property
    def mean(self):
        return jax.nn.sigmoid(self.logits)


def kl_normal_per_dimension(q: Normal, p: Normal):
    """KL(q || p) of every coordinate, in nats, before the sum over the event: shape of `q.loc` broadcast with `p`.

    With r = log s_q - log s_p:  KL = (e^{2r} - 1)/2 - r + (m_q - m_p)^2 / (2 s_p^2);  expm1 keeps it exact near q = p.
    """
    log_ratio = q.log_scale - p.log_scale
    standardised = (q.loc - p.loc) * jnp.exp(-p.log_scale)
    return 0.5 * (jnp.expm1(2 * log_ratio) + jnp.square(standardised)) - log_ratio


def has_closed_kl(q, p) -> bool:
    """Whether `kl_per_dimension(q, p)` has a closed form."""
    return type(q) is Normal and type(p) is Normal


def kl_per_dimension(q, p):
    """Closed-form KL(q || p) of every coordinate, in nats. Raises TypeError where there is none."""
    if not has_closed_kl(q, p):
        raise TypeError(f"no closed-form KL between {type(q).__name__} and {type(p).__name__}")
    return kl_normal_per_dimension(q, p)


def kl(q, p):
    """Closed-form KL(q || p) in nats, summed over the event: batch shape."""
    return _sum_event(kl_per_dimension(q, p), q.event_ndims)


def standard_normal(event_shape: tuple[int, ...]) -> Normal:
    """N(0, I) over an event of this shape, with empty batch shape."""
    return Normal(jnp.zeros(event_shape), jnp.zeros(event_shape), event_ndims=len(event_shape))
