"""Normalising flows: invertible maps of codes with their log-determinants, and the distributions that they make.

A flow is a pytree: called with z [..., D] it answers (y [..., D], log |det dy/dz| [...]), and `inverse(y)` answers
(z, log |det dz/dy|). The batch axes of its parameters align with the last but one axes of z.
"""

from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from ae_jax.core.distributions import Normal, softplus

_BISECTIONS = 40  # of an interval of a few units: to the rounding of float32
_TINY = 1e-6
_OPEN = 2.0  # log-odds of an autoregressive flow's gates at first: nearly the identity
_REACH = 2.0  # of the logarithms of its scales without gates: were these free, some draws would be far from all others


def _dot(one: Any, other: Any) -> Any:
    return (one * other).sum(axis=-1, keepdims=True)


def _under(z: Any, parameter: Any) -> Any:
    """The parameter with as many axes as z has, those of the samples in front."""
    return parameter.reshape((1,) * (z.ndim - parameter.ndim) + parameter.shape)


@flax.struct.dataclass
class Planar:
    """y = z + u tanh(w.z + b), u moved along w until w.u > -1, so that there is an inverse (Rezende and Mohamed 2015,
    arXiv:1505.05770, eq. 10 and appendix A.1).
    """

    u: Any  # [*batch, D]
    w: Any  # [*batch, D]
    b: Any  # [*batch, 1]

    @staticmethod
    def sizes(size: int) -> tuple[int, ...]:
        """How many numbers each parameter has for codes of this size."""
        return size, size, 1

    def _parts(self, z):
        u, w, b = (_under(z, parameter) for parameter in (self.u, self.w, self.b))
        # The moved w.u is log(1 + e^(w.u)) - 1. Where w is nothing, nothing need be moved.
        u += (softplus(_dot(u, w)) - 1 - _dot(u, w)) * w / (_dot(w, w) + _TINY)
        return u, w, b, _dot(u, w)

    def __call__(self, z):
        u, w, b, slope = self._parts(z)
        height = jnp.tanh(_dot(w, z) + b)
        return z + u * height, jnp.log1p((1 - jnp.square(height)) * slope)[..., 0]

    def inverse(self, y):
        """By bisection for a = w.z, the root of a + slope tanh(a + b) = w.y, which is increasing in a."""
        u, w, b, slope = self._parts(y)
        target = _dot(w, y)
        excess = lambda a: a + slope * jnp.tanh(a + b) - target

        def halve(_, ends):
            low, high = ends
            middle = 0.5 * (low + high)
            above = excess(middle) > 0
            return jnp.where(above, low, middle), jnp.where(above, middle, high)

        reach = jnp.abs(slope)
        low, high = jax.lax.fori_loop(0, _BISECTIONS, halve, (target - reach, target + reach))
        a = jax.lax.stop_gradient(0.5 * (low + high))
        # Bisection has no derivative; one step of Newton's has that of the root.
        a -= excess(a) / jax.lax.stop_gradient(1 + slope * (1 - jnp.square(jnp.tanh(a + b))))
        z = y - u * jnp.tanh(a + b)
        return z, -self(z)[1]


@flax.struct.dataclass
class Radial:
    """y = z + beta (z - centre) / (alpha + |z - centre|), alpha > 0 and beta > -alpha, so that there is an inverse
    (Rezende and Mohamed 2015, arXiv:1505.05770, eq. 14 and appendix A.2).
    """

    centre: Any  # [*batch, D]
    alpha: Any  # [*batch, 1], before a softplus
    beta: Any  # [*batch, 1], as alpha: beta + alpha before a softplus

    @staticmethod
    def sizes(size: int) -> tuple[int, ...]:
        return size, 1, 1

    def _parts(self, z):
        centre, alpha, beta = (_under(z, parameter) for parameter in (self.centre, self.alpha, self.beta))
        alpha = softplus(alpha) + _TINY
        # The length of nothing would have no derivative.
        return centre, alpha, softplus(beta) - alpha, jnp.sqrt(_dot(z - centre, z - centre) + _TINY**2)

    def __call__(self, z):
        centre, alpha, beta, radius = self._parts(z)
        stretch = beta / (alpha + radius)
        # Across the ray 1 + stretch, in each of D - 1 directions; along it, the derivative of radius (1 + stretch).
        along = beta * alpha / jnp.square(alpha + radius)
        log_determinant = (z.shape[-1] - 1) * jnp.log1p(stretch) + jnp.log1p(along)
        return z + stretch * (z - centre), log_determinant[..., 0]

    def inverse(self, y):
        """The radius r of z is the positive root of r^2 + (alpha + beta - R) r = alpha R, R the radius of y."""
        centre, alpha, beta, reach = self._parts(y)
        half = 0.5 * (alpha + beta - reach)
        root = jnp.sqrt(jnp.square(half) + alpha * reach)
        # Of the two forms of the root, the one that subtracts nothing.
        radius = jnp.where(half > 0, alpha * reach / (root + jnp.abs(half)), root - half)
        z = centre + (y - centre) / (1 + beta / (alpha + radius))
        return z, -self(z)[1]


@flax.struct.dataclass
class Autoregressive:
    """y_d = s_d z_d + t_d, with s_d > 0 and t_d functions of z_1 .. z_(d-1) and of what was read of x, then in reverse
    order (Kingma et al. 2016, arXiv:1606.04934, eq. 10).

    gated: whether t_d = (1 - s_d) m_d with s_d in (0, 1), nearly 1 at first (eq. 13-14); else log s_d is in (-2, 2).
    """

    context: Any  # [*batch, H], added before the hidden units' tanh
    bias: Any  # [*batch, 2D], added to the outputs
    inward: Any  # [D, H]
    outward: Any  # [H, 2D]
    gated: bool = flax.struct.field(pytree_node=False, default=True)

    def _parts(self, z):
        size, hidden = self.inward.shape
        # A hidden unit of degree k reads z_1 .. z_k and is read by t_d and s_d of d > k (Germain et al. 2015).
        degree, place = np.arange(hidden) % max(size - 1, 1) + 1, np.arange(1, size + 1)
        reads, is_read = degree[None] >= place[:, None], np.tile(degree[:, None] < place[None], 2)
        h = jnp.tanh(z @ jnp.where(reads, self.inward, 0) + _under(z, self.context))
        shift, gate = jnp.split(h @ jnp.where(is_read, self.outward, 0) + _under(z, self.bias), 2, axis=-1)
        if not self.gated:
            return shift, _REACH * jnp.tanh(gate / _REACH)
        log_scale = jax.nn.log_sigmoid(gate + _OPEN)
        return (1 - jnp.exp(log_scale)) * shift, log_scale

    def __call__(self, z):
        shift, log_scale = self._parts(z)
        return (jnp.exp(log_scale) * z + shift)[..., ::-1], log_scale.sum(axis=-1)

    def inverse(self, y):
        """The first coordinate is right after one round, each further one after one more."""
        y = y[..., ::-1]

        def again(_, z):
            shift, log_scale = self._parts(z)
            return (y - shift) * jnp.exp(-log_scale)

        z = jax.lax.fori_loop(0, y.shape[-1], again, y)
        return z, -self(z)[1]


@flax.struct.dataclass
class Inverse:
    """A flow the other way round: densities at foreign points are as quick as its samples were, and the reverse."""

    flow: Any

    def __call__(self, z):
        return self.flow.inverse(z)

    def inverse(self, y):
        return self.flow(y)


@flax.struct.dataclass
class Transformed:
    """The distribution of draws of `base` after all the flows, in turn."""

    base: Normal
    flows: tuple[Any, ...]

    def sample_and_log_prob(self, key, n: int):
        """n samples in a new leading axis, and their densities: no flow is inverted."""
        z, log_prob = self.base.sample_and_log_prob(key, n)
        for flow in self.flows:
            z, log_determinant = flow(z)
            log_prob -= log_determinant
        return z, log_prob

    def sample(self, key, n: int):
        return self.sample_and_log_prob(key, n)[0]

    def log_prob(self, value):
        total, value = 0.0, jnp.broadcast_to(value, jnp.broadcast_shapes(value.shape, self.base.mean.shape))
        for flow in self.flows[::-1]:
            value, log_determinant = flow.inverse(value)
            total += log_determinant
        return total + self.base.log_prob(value)

    @property
    def mean(self):
        """Where the base's mean goes: a point that stands for the distribution, whose mean has no closed form."""
        z = self.base.mean
        for flow in self.flows:
            z = flow(z)[0]
        return z
