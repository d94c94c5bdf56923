"""Normalising flows: invertible maps of latents, and the distributions made of them."""

from collections.abc import Callable
from typing import Protocol, TypeAlias, runtime_checkable

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ae_jax.core.distributions import Normal, softplus
from ae_jax.core.errors import UserError
from ae_jax.core.types import Array, Key

_BISECTIONS = 40  # halves an interval of a few units down to the rounding of float32
_TINY = 1e-6
_FIRST_GATE = 2.0  # log-odds of an autoregressive flow's gates at first, so that it begins near the identity
_LARGEST_LOG_SCALE = 2.0  # bounds scales without gates: unbounded, some samples would be far away from all others

# Points, and a log-determinant or a log density for each.
PointsAndLogs: TypeAlias = tuple[Float[Array, "*batch D"], Float[Array, "*batch"]]


@runtime_checkable
class Flow(Protocol):
    """An invertible map, as a pytree of parameters.

    The batch axes of the parameters align with the last axes of z [..., D] before D.
    """

    def __call__(self, z: Array) -> tuple[Array, Array]:
        """Return y [..., D] and log |det dy/dz| [...]."""

    def inverse(self, y: Array) -> tuple[Array, Array]:
        """Invert the map.

        Args:
          y: points [..., D].

        Returns:
          z [..., D] and log |det dz/dy| [...].
        """


def _dot(one: Array, other: Array) -> Array:
    return (one * other).sum(axis=-1, keepdims=True)


def _align_to(z: Array, parameter: Array) -> Array:
    """Give a parameter as many axes as z has; new axes, those of samples, come first."""
    return parameter.reshape((1,) * (z.ndim - parameter.ndim) + parameter.shape)


class Planar(flax.struct.PyTreeNode):
    """The planar flow y = z + u tanh(w.z + b).

    To make it invertible, u is moved along w until w.u > -1 (Rezende and Mohamed 2015, arXiv:1505.05770, eq. 10 and
    appendix A.1).
    """

    u: Array  # [*batch, D]
    w: Array  # [*batch, D]
    b: Array  # [*batch, 1]

    @staticmethod
    def sizes(size: int) -> tuple[int, ...]:
        """Return how many numbers each parameter has for latents of this size."""
        return size, size, 1

    def _parts(self, z: Array) -> tuple[Array, Array, Array, Array]:
        """Return u, w and b with the axes of z, u moved so that w.u > -1, and w.u itself."""
        u, w, b = (_align_to(z, parameter) for parameter in (self.u, self.w, self.b))
        # u moves so far that w.u becomes log(1 + e^(w.u)) - 1. For w = 0 no move is needed, and _TINY avoids 0 / 0.
        u = u + (softplus(_dot(u, w)) - 1 - _dot(u, w)) * w / (_dot(w, w) + _TINY)
        return u, w, b, _dot(u, w)

    def __call__(self, z: Float[Array, "*batch D"]) -> PointsAndLogs:
        """Return y and log |det dy/dz|."""
        u, w, b, slope = self._parts(z)
        height = jnp.tanh(_dot(w, z) + b)
        # The determinant is positive because w.u > -1, so the logarithm needs no absolute value.
        return z + u * height, jnp.log1p((1 - jnp.square(height)) * slope)[..., 0]

    def inverse(self, y: Float[Array, "*batch D"]) -> PointsAndLogs:
        """Return z and log |det dz/dy|, by bisection."""
        u, w, b, slope = self._parts(y)
        target = _dot(w, y)

        def excess(a: Array) -> Array:
            """Return a + slope tanh(a + b) - w.y, which increases with a and is zero at a = w.z."""
            return a + slope * jnp.tanh(a + b) - target

        # The root lies within |slope| of w.y, because |tanh| is less than 1.
        a = jax.lax.stop_gradient(_bisect(excess, target, jnp.abs(slope)))
        # Bisection has no derivative; one step of Newton's method has the derivative of the root.
        a = a - excess(a) / jax.lax.stop_gradient(1 + slope * (1 - jnp.square(jnp.tanh(a + b))))
        z = y - u * jnp.tanh(a + b)
        return z, -self(z)[1]


def _bisect(increasing: Callable[[Array], Array], centre: Array, reach: Array) -> Array:
    """Find the roots of an increasing function in [centre - reach, centre + reach]."""

    def halve(_: object, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = ends
        middle = 0.5 * (low + high)
        above = increasing(middle) > 0
        return jnp.where(above, low, middle), jnp.where(above, middle, high)

    ends: tuple[Array, Array] = jax.lax.fori_loop(0, _BISECTIONS, halve, (centre - reach, centre + reach))
    return 0.5 * (ends[0] + ends[1])


class Radial(flax.struct.PyTreeNode):
    """The radial flow y = z + beta (z - centre) / (alpha + |z - centre|).

    It is invertible because alpha > 0 and beta > -alpha (Rezende and Mohamed 2015, arXiv:1505.05770, eq. 14 and
    appendix A.2).
    """

    centre: Array  # [*batch, D]
    alpha: Array  # [*batch, 1], before a softplus
    beta: Array  # [*batch, 1]: beta + alpha before a softplus

    @staticmethod
    def sizes(size: int) -> tuple[int, ...]:
        """Return how many numbers each parameter has for latents of this size."""
        return size, 1, 1

    def _parts(self, z: Array) -> tuple[Array, Array, Array, Array]:
        """Return centre, alpha and beta with the axes of z, and the distance of z from the centre."""
        centre, alpha, beta = (_align_to(z, parameter) for parameter in (self.centre, self.alpha, self.beta))
        alpha = softplus(alpha) + _TINY
        # At the centre the length has no derivative; _TINY gives it one.
        radius = jnp.sqrt(_dot(z - centre, z - centre) + _TINY**2)
        return centre, alpha, softplus(beta) - alpha, radius

    def __call__(self, z: Float[Array, "*batch D"]) -> PointsAndLogs:
        """Return y and log |det dy/dz|."""
        centre, alpha, beta, radius = self._parts(z)
        stretch = beta / (alpha + radius)
        # The derivative is 1 + stretch across the ray, in each of D - 1 directions; along it, it is the derivative of
        # radius (1 + stretch).
        along = beta * alpha / jnp.square(alpha + radius)
        log_determinant = (z.shape[-1] - 1) * jnp.log1p(stretch) + jnp.log1p(along)
        return z + stretch * (z - centre), log_determinant[..., 0]

    def inverse(self, y: Float[Array, "*batch D"]) -> PointsAndLogs:
        """Return z and log |det dz/dy|, in closed form."""
        # With R the distance of y from the centre, that of z is the positive root of r^2 + (alpha + beta - R) r =
        # alpha R.
        centre, alpha, beta, reach = self._parts(y)
        half = 0.5 * (alpha + beta - reach)
        root = jnp.sqrt(jnp.square(half) + alpha * reach)
        # Of the two forms of the root, take the one that subtracts nothing.
        radius = jnp.where(half > 0, alpha * reach / (root + jnp.abs(half)), root - half)
        z = centre + (y - centre) / (1 + beta / (alpha + radius))
        return z, -self(z)[1]


class Autoregressive(flax.struct.PyTreeNode):
    """The inverse autoregressive flow y_d = s_d z_d + t_d (Kingma et al. 2016).

    s_d > 0 and t_d are functions of z_1 .. z_(d-1) and of features of x (arXiv:1606.04934, eq. 10). The order of the
    coordinates is reversed afterwards. If `gated`, then t_d = (1 - s_d) m_d with s_d in (0, 1), nearly 1 at first (eq.
    13 and 14). Otherwise log s_d lies in (-2, 2).
    """

    context: Array  # [*batch, H], added before the hidden units' tanh
    bias: Array  # [*batch, 2D], added to the outputs
    inward: Array  # [D, H]
    outward: Array  # [H, 2D]
    gated: bool = flax.struct.field(pytree_node=False, default=True)

    def _parts(self, z: Array) -> tuple[Array, Array]:
        """Return t and log s, each shaped like z."""
        size, hidden = self.inward.shape
        # A hidden unit of degree k reads z_1 .. z_k; t_d and s_d with d > k read it (Germain et al. 2015).
        # The masks are made by NumPy, so that they are constants of the compiled program.
        degree, place = np.arange(hidden) % max(size - 1, 1) + 1, np.arange(1, size + 1)
        reads, is_read = degree[None] >= place[:, None], np.tile(degree[:, None] < place[None], 2)
        h = jnp.tanh(z @ jnp.where(reads, self.inward, 0) + _align_to(z, self.context))
        shift, gate = jnp.split(h @ jnp.where(is_read, self.outward, 0) + _align_to(z, self.bias), 2, axis=-1)
        if not self.gated:
            return shift, _LARGEST_LOG_SCALE * jnp.tanh(gate / _LARGEST_LOG_SCALE)
        log_scale = jax.nn.log_sigmoid(gate + _FIRST_GATE)
        return (1 - jnp.exp(log_scale)) * shift, log_scale

    def __call__(self, z: Float[Array, "*batch D"]) -> PointsAndLogs:
        """Return y and log |det dy/dz|, in one pass."""
        shift, log_scale = self._parts(z)
        return (jnp.exp(log_scale) * z + shift)[..., ::-1], log_scale.sum(axis=-1)

    def inverse(self, y: Float[Array, "*batch D"]) -> PointsAndLogs:
        """Return z and log |det dz/dy|, in D passes."""
        y = y[..., ::-1]

        def update(_: object, z: Array) -> Array:
            """Solve for z with the shift and scale of the last z; one more coordinate becomes exact."""
            shift, log_scale = self._parts(z)
            return (y - shift) * jnp.exp(-log_scale)

        # Any first z serves. After k passes, the first k coordinates are exact whatever the others are.
        z = jax.lax.fori_loop(0, y.shape[-1], update, y)
        return z, -self(z)[1]


def check_hidden(hidden: int, size: int) -> None:
    """Check that an autoregressive flow has a hidden unit of every degree 1 .. size - 1.

    Without one of degree k, the coordinates after k could not depend on the k-th.

    Args:
      hidden: number of hidden units.
      size: number of coordinates.

    Raises:
      UserError: if there are too few.
    """
    if hidden < size - 1:
        raise UserError(
            f"model.flow_hidden={hidden} is too small for latents of {size} numbers, because each needs a unit of its "
            f"own\nuse --config.model.flow_hidden={size - 1} or more"
        )


class Inverse(flax.struct.PyTreeNode):
    """A flow in the other direction.

    Densities of given points become as fast as samples were, and vice versa.
    """

    flow: Flow

    def __call__(self, z: Float[Array, "*batch D"]) -> PointsAndLogs:
        """Return y and log |det dy/dz|."""
        return self.flow.inverse(z)

    def inverse(self, y: Float[Array, "*batch D"]) -> PointsAndLogs:
        """Return z and log |det dz/dy|."""
        return self.flow(y)


class Transformed(flax.struct.PyTreeNode):
    """The distribution of samples of `base` after all the flows, in order."""

    base: Normal
    flows: tuple[Flow, ...]

    def sample_and_log_prob(self, key: Key, n: int) -> PointsAndLogs:
        """Draw n samples in a new leading axis, with their log densities; no flow is inverted."""
        z, log_prob = self.base.sample_and_log_prob(key, n)
        for flow in self.flows:
            z, log_determinant = flow(z)
            log_prob = log_prob - log_determinant
        return z, log_prob

    def sample(self, key: Key, n: int) -> Float[Array, "{n} *batch D"]:
        """Draw n samples in a new leading axis."""
        return self.sample_and_log_prob(key, n)[0]

    def log_prob(self, value: Float[Array, "*batch D"]) -> Float[Array, "..."]:
        """Return the log density of `value`, which inverts every flow."""
        # The flows align their parameters with the last axes of the value, so it needs all batch axes.
        value = jnp.broadcast_to(value, jnp.broadcast_shapes(value.shape, self.base.mean.shape))
        log_determinants = []
        for flow in self.flows[::-1]:
            value, log_determinant = flow.inverse(value)
            log_determinants.append(log_determinant)
        return sum(log_determinants) + self.base.log_prob(value)

    @property
    def mean(self) -> Float[Array, "*batch D"]:
        """Return the image of the base's mean, as the distribution's own mean has no closed form."""
        z = self.base.mean
        for flow in self.flows:
            z = flow(z)[0]
        return z
