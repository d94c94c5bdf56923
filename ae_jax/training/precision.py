"""Precision of training: "float32", "mixed" or "bfloat16".

In "mixed", networks compute in bfloat16 and their parameters are float32. In "bfloat16", both are bfloat16.

Mixed precision follows Micikevicius et al. 2018, "Mixed precision training", arXiv:1710.03740. Only the modules in a
model's `networks` compute in bfloat16, and only in training. Their outputs are converted to float32. Distributions,
losses, the gradients that the optimiser receives, its moments, and averages of parameters are float32. bfloat16 has the
exponents of float32, so that gradients do not underflow and the loss is not scaled.
"""

import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from ae_jax.core import errors

KINDS = ("float32", "mixed", "bfloat16")


def check(kind: str | None) -> None:
    """Check that a precision exists.

    Args:
      kind: one of `KINDS`, or None for "float32".

    Raises:
      UserError: if it is neither.
    """
    if kind is not None and kind not in KINDS:
        raise errors.unknown("train.precision", kind, KINDS)


def _cast(dtype, tree):
    """Cast the arrays of floats in a pytree, but not integers, random keys or Python numbers."""

    def cast(leaf):
        is_float = hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jnp.floating)
        return leaf.astype(dtype) if is_float else leaf

    return jax.tree.map(cast, tree)


# `full` casts a pytree to float32, and `_half` to bfloat16.
full = functools.partial(_cast, jnp.float32)
_half = functools.partial(_cast, jnp.bfloat16)


def stored(kind: str | None, params: Any) -> Any:
    """Return the parameters in the precision in which training stores them.

    Args:
      kind: one of `KINDS`, or None for "float32".
      params: parameters in float32.
    """
    return _half(params) if kind == "bfloat16" else params


def apply(kind: str | None, model: Any, variables: Any, *arguments: Any, **options: Any) -> Any:
    """Return `model.apply(variables, *arguments, **options)`, computed in a precision.

    Args:
      kind: one of `KINDS`, or None for "float32".
      model: the model, whose `networks` names the modules that compute in bfloat16.
      variables: {collection: values} with the parameters in "params".
      *arguments: arguments of the model.
      **options: keyword arguments of `model.apply` and of the model.
    """
    if kind in (None, "float32"):
        return model.apply(variables, *arguments, **options)
    params = dict(variables["params"])
    for name in params.keys() & set(model.networks):
        params[name] = _half(params[name])
    with nn.intercept_methods(_cast_at_the_border(model.networks)):
        return model.apply({**variables, "params": params}, *arguments, **options)


def _cast_at_the_border(networks):
    """Return an interceptor that casts networks' arguments to bfloat16, and results to float32."""
    inside = []

    def intercept(method, arguments, options, context):
        is_net = context.module.path in [(name,) for name in networks] and context.method_name != "setup"
        # A call from within a network stays in bfloat16, also if it calls another method of the network itself.
        if inside or not is_net:
            return method(*arguments, **options)
        inside.append(context.module)
        try:
            return full(method(*_half(arguments), **_half(options)))
        finally:
            inside.pop()

    return intercept
