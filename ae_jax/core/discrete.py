"""Categorical variables as one-hot vectors, and their continuous relaxation.

Jang et al. 2017, "Categorical reparameterization with Gumbel-softmax", arXiv:1611.01144, and Maddison et al. 2017, "The
Concrete distribution", arXiv:1611.00712.
"""

import math

import flax.struct
import jax
import jax.numpy as jnp
from jaxtyping import Float

from ae_jax.core.types import Array, Key, Scalar


class OneHot(flax.struct.PyTreeNode):
    """Independent choices among K classes with probabilities softmax(logits).

    Values are one-hot vectors, flat, [*batch, V * K].
    """

    logits: Array  # [*batch, V, K]

    def log_prob(self, value: Float[Array, "..."]) -> Float[Array, "..."]:
        """Return the log probability of one-hot vectors, flat, summed over the V choices."""
        # The batch axes of the value broadcast against those of the logits.
        log_p = jax.nn.log_softmax(self.logits, axis=-1)
        log_p = log_p.reshape(*log_p.shape[:-2], -1)
        rank = max(value.ndim, log_p.ndim)
        value, log_p = (each.reshape((1,) * (rank - each.ndim) + each.shape) for each in (value, log_p))
        # A class of probability zero has log_p = -inf, and 0 * (-inf) would be NaN.
        return jnp.sum(jnp.where(value == 0, 0, value * log_p), axis=-1)

    def sample(self, key: Key, n: int) -> Float[Array, "{n} ..."]:
        """Draw n one-hot vectors in a new leading axis. They have no gradient."""
        classes = jax.random.categorical(key, self.logits, shape=(n, *self.logits.shape[:-1]))
        draws = jax.nn.one_hot(classes, self.logits.shape[-1])
        return draws.reshape(*draws.shape[:-2], -1)

    def sample_and_log_prob(self, key: Key, n: int) -> tuple[Float[Array, "S ..."], Float[Array, "S ..."]]:
        """Draw n one-hot vectors and return them with their log probabilities."""
        samples = self.sample(key, n)
        return samples, self.log_prob(samples)

    @property
    def mean(self) -> Float[Array, "..."]:
        """Return the probabilities, flat."""
        probabilities = jax.nn.softmax(self.logits, axis=-1)
        return probabilities.reshape(*probabilities.shape[:-2], -1)


def kl(q: OneHot, p: OneHot) -> Float[Array, "*batch V"]:
    """Return KL(q || p) of each choice, in nats."""
    log_q, log_p = jax.nn.log_softmax(q.logits, axis=-1), jax.nn.log_softmax(p.logits, axis=-1)
    log_p = log_p.reshape((1,) * (log_q.ndim - log_p.ndim) + log_p.shape)
    return jnp.sum(jnp.exp(log_q) * (log_q - log_p), axis=-1)


def relaxed_log_sample(
    key: Key, logits: Float[Array, "*batch K"], temperature: Scalar, n: int
) -> Float[Array, "{n} *batch K"]:
    """Draw log y of n relaxed one-hot vectors softmax((logits + Gumbel noise) / temperature)."""
    # At a low temperature, most entries of y itself would underflow to zero, and their logarithms would be -inf.
    noise = jax.random.gumbel(key, (n, *logits.shape))
    return jax.nn.log_softmax((logits[None] + noise) / temperature, axis=-1)


def relaxed_log_prob(
    log_y: Float[Array, "*samples K"], logits: Float[Array, "*batch K"], temperature: Scalar
) -> Float[Array, "*samples"]:
    """Return the log density of log y for relaxed one-hot vectors y (Maddison et al., C.3).

    That of y itself is smaller by the sum of log y. In this form no power of y overflows.
    """
    classes = log_y.shape[-1]
    log_a = jax.nn.log_softmax(logits, axis=-1)
    log_a = log_a.reshape((1,) * (log_y.ndim - log_a.ndim) + log_a.shape)
    scores = log_a - temperature * log_y
    constant = math.lgamma(classes) + (classes - 1) * jnp.log(temperature)
    return constant + scores.sum(axis=-1) - classes * jax.nn.logsumexp(scores, axis=-1)
