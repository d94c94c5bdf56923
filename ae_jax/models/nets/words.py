"""Names of activations and initialisers in a config, and the functions that they name."""

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
    """Return the elementwise function of this name.

    Args:
      name: a function of `flax.linen`, or "identity".

    Raises:
      UserError: if there is no such function; the message lists those that exist.
    """
    if name == "identity":
        return lambda x: x
    if name not in _ACTIVATIONS:
        raise errors.unknown("activation", name, ("identity", *_ACTIVATIONS))
    return getattr(nn, name)


def initializer(name: str) -> Callable:
    """Return the kernel initialiser of this name, a function (key, shape, dtype) -> array.

    Args:
      name: a name of `jax.nn.initializers`, such as "glorot_uniform", "he_normal" or "lecun_normal".

    Raises:
      UserError: if there is no such initialiser; the message lists those that exist.
    """
    family, _, kind = name.partition("_")
    if family not in _FAMILIES or kind not in _DISTRIBUTIONS:
        raise errors.unknown("kernel_init", name, [f"{f}_{kind}" for f in _FAMILIES for kind in _DISTRIBUTIONS])
    numerator, averages = _FAMILIES[family]

    def init(key, shape, dtype=float):
        fan_in, fan_out = math.prod(shape[:-1]), math.prod(shape[:-2]) * shape[-1]
        # The matrix below has the kernel's fan-in but not its fan-out, so an average of both is worked into the scale.
        scale = numerator * 2 * fan_in / (fan_in + fan_out) if averages else numerator
        # The kernel is drawn as a matrix: XLA takes ten times as long to compile the draw of a kernel with four axes.
        draw = jax.nn.initializers.variance_scaling(scale, "fan_in", _DISTRIBUTIONS[kind])
        return draw(key, (fan_in, shape[-1]), dtype).reshape(shape)

    return init
