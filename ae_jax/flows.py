"""Normalising flows: invertible maps of codes with their log-determinants, and the distributions that they make.

A flow is a pytree: called with z [..., D] it answers (y [..., D], log |det dy/dz| [...]); `inverse(y)` is z. The batch
axes of its parameters align with the last but one axes of z.
"""

from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from ae_jax.distributions import Normal, softplus

_BISECTIONS = 40  # of an interval of a few units: to the rounding of float32
_TINY = 1e-6
_OPEN = 2.0  # log-odds of an autoregressive flow's gates at first: nearly the identity


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

    def _parts(self, z):
        u, w, b = (_under(z, parameter) for parameter in (self.u, self.w, self.b))
        dot = lambda one, other: (one * other).sum(axis=-1, keepdims=True)
        # The moved w.u is log(1 + e^(w.u)) - 1. Where w is nothing, nothing need be moved.
        u += (softplus(dot(u, w)) - 1 - dot(u, w)) * w / (dot(w, w) + _TINY)
        return u, w, b, dot(u, w)

    def __call__(self, z):
        u, w, b, slope = self._parts(z)
        height = jnp.tanh((w * z).sum(axis=-1, keepdims=True) + b)
        return z + u * height, jnp.log1p((1 - jnp.square(height)) * slope)[..., 0]

    def inverse(self, y):
        """By bisection for a = w.z, the root of a + slope tanh(a + b) = w.y, which is increasing in a."""
        u, w, b, slope = self._parts(y)
        target = (w * y).sum(axis=-1, keepdims=True)
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
        return y - u * jnp.tanh(a + b)


@flax.struct.dataclass
class Autoregressive:
    """y_d = s_d z_d + (1 - s_d) m_d, with m_d and s_d in (0, 1) functions of z_1 .. z_(d-1) and of what was read of x,
    then in reverse order (Kingma et al. 2016, arXiv:1606.04934, eq. 12-14).
    """

    context: Any  # [*batch, H], added before the hidden units' tanh
    bias: Any  # [*batch, 2D], added to the outputs
    inward: Any  # [D, H]
    outward: Any  # [H, 2D]

    def _parts(self, z):
        size, hidden = self.inward.shape
        # A hidden unit of degree k reads z_1 .. z_k and is read by m_d and s_d of d > k (Germain et al. 2015).
        degree, place = np.arange(hidden) % max(size - 1, 1) + 1, np.arange(1, size + 1)
        reads, is_read = degree[None] >= place[:, None], np.tile(degree[:, None] < place[None], 2)
        h = jnp.tanh(z @ jnp.where(reads, self.inward, 0) + _under(z, self.context))
        shift, gate = jnp.split(h @ jnp.where(is_read, self.outward, 0) + _under(z, self.bias), 2, axis=-1)
        return shift, jax.nn.log_sigmoid(gate + _OPEN)

    def __call__(self, z):
        shift, log_scale = self._parts(z)
        scale = jnp.exp(log_scale)
        return (scale * z + (1 - scale) * shift)[..., ::-1], log_scale.sum(axis=-1)

    def inverse(self, y):
        """The first coordinate is right after one round, each further one after one more."""
        y = y[..., ::-1]

        def again(_, z):
            shift, log_scale = self._parts(z)
            return shift + (y - shift) * jnp.exp(-log_scale)

        return jax.lax.fori_loop(0, y.shape[-1], again, y)


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
        total = 0.0
        for flow in self.flows[::-1]:
            value = flow.inverse(value)
            total -= flow(value)[1]
        return total + self.base.log_prob(value)

    @property
    def mean(self):
        """Where the base's mean goes: a point that stands for the distribution, whose mean has no closed form."""
        z = self.base.mean
        for flow in self.flows:
            z = flow(z)[0]
        return z
