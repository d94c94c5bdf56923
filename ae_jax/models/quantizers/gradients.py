"""Gradients through quantization, which has no derivative of its own."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from ae_jax.core import errors


def straight_through(z, entries):
    """Return the entries [N, D] with the gradient of z [N, D].

    Bengio et al. 2013, "Estimating or propagating gradients through stochastic neurons", arXiv:1308.3432.
    """
    return z + jax.lax.stop_gradient(entries - z)


def rotation(z, entries):
    """Return the entries [N, D], with the gradient of a rotated and scaled z [N, D].

    The rotation and the scale count as constants (Fifty et al. 2024, "Restructuring vector quantization with the
    rotation trick", arXiv:2410.06424, section 4.2). Where an entry is opposite to z, no rotation is defined, and the
    scale alone remains.
    """
    z_fixed, entries = jax.lax.stop_gradient((z, entries))
    norm, norm_entries = (jnp.linalg.norm(each, axis=-1, keepdims=True) for each in (z_fixed, entries))
    direction, target = z_fixed / jnp.maximum(norm, _TINY), entries / jnp.maximum(norm_entries, _TINY)
    middle = direction + target
    middle = middle / jnp.maximum(jnp.linalg.norm(middle, axis=-1, keepdims=True), _TINY)
    # R = I - 2 m m^T + 2 t d^T, applied to z without an array [N, D, D].
    along_middle = (z * middle).sum(axis=-1, keepdims=True)
    along_direction = (z * direction).sum(axis=-1, keepdims=True)
    rotated = z - 2 * along_middle * middle + 2 * along_direction * target
    moved = norm_entries / jnp.maximum(norm, _TINY) * rotated
    # The value is that of the entries to the last bit; only the gradient is that of `moved`.
    return moved + jax.lax.stop_gradient(entries - moved)


_TINY = 1e-12
_WAYS = {"straight_through": straight_through, "rotation": rotation}


def find(name: str) -> Callable:
    """Return the function (z, entries) -> entries of this name.

    Raise UserError if there is none.
    """
    if name not in _WAYS:
        raise errors.unknown("model.gradient", name, _WAYS)
    return _WAYS[name]
