"""The words of a config that name a function of JAX: activations and initialisers."""

from collections.abc import Callable

import flax.linen as nn
import jax

from ae_jax import errors

_ACTIVATIONS = ("celu", "elu", "gelu", "hard_tanh", "leaky_relu", "relu", "selu", "sigmoid", "silu", "softplus", "tanh")
_INITIALIZERS = ("glorot_normal", "glorot_uniform", "he_normal", "he_uniform", "lecun_normal", "lecun_uniform")


def activation(name: str) -> Callable:
    """The elementwise function of this name; "identity" for none. Raises UserError that lists them."""
    if name == "identity":
        return lambda x: x
    if name not in _ACTIVATIONS:
        raise errors.unknown("activation", name, ("identity", *_ACTIVATIONS))
    return getattr(nn, name)


def initializer(name: str) -> Callable:
    """The kernel initialiser of this name. Raises UserError that lists them."""
    if name not in _INITIALIZERS:
        raise errors.unknown("kernel_init", name, _INITIALIZERS)
    return getattr(jax.nn.initializers, name)()
