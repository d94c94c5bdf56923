"""The words of a config that name a function of JAX: activations and initialisers."""

import math
from collections.abc import Callable

import flax.linen as nn
import jax

from ae_jax.core import errors

_ACTIVATIONS = ("celu", "elu", "gelu", "hard_tanh", "leaky_relu", "relu", "selu", "sigmoid", "silu", "softplus", "tanh")
# {name: (numerator of the variance, whether its denominator is (fan_in + fan_out) / 2 rather than fan_in)}
_FAMILIES = {"glorot": (1.0, True), "he": (2.0, False), "lecun": (1.0, False)}
_DISTRIBUTIONS = {"normal": "truncated_normal", "uniform": "uniform"}


def activation(name: str) -> Callable:
    """The elementwise function of this name; "identity" for none. Raises UserError that lists them."""
    if name == "identity":
        return lambda x: x
    if name not in _ACTIVATIONS:
        raise errors.unknown("activation", name, ("identity", *_ACTIVATIONS))
    return getattr(nn, name)


def initializer(name: str) -> Callable:
    """The kernel initialiser of this name, as `jax.nn.initializers` has it. Raises UserError that lists them."""
    family, _, kind = name.partition("_")
    if family not in _FAMILIES or kind not in _DISTRIBUTIONS:
        raise errors.unknown("kernel_init", name, [f"{f}_{kind}" for f in _FAMILIES for kind in _DISTRIBUTIONS])
    numerator, averages = _FAMILIES[family]

    def init(key, shape, dtype=float):
        fan_in, fan_out = math.prod(shape[:-1]), math.prod(shape[:-2]) * shape[-1]
        scale = numerator * 2 * fan_in / (fan_in + fan_out) if averages else numerator
        # Drawn as a matrix: XLA takes ten times as long to compile the draw of a kernel of four axes.
        draw = jax.nn.initializers.variance_scaling(scale, "fan_in", _DISTRIBUTIONS[kind])
        return draw(key, (fan_in, shape[-1]), dtype).reshape(shape)

    return init
