"""In which numbers a network computes: float32; "mixed", bfloat16 from float32 parameters; or "bfloat16" in both.

Only a model's `networks` compute in bfloat16, in training: what leaves them is float32 again, and so are distributions,
losses, gradients as the optimizer sees them, its moments, and averages of parameters. As bfloat16 has the exponents of
float32, no loss is scaled. Micikevicius et al. 2018, "Mixed precision training", arXiv:1710.03740.
"""

import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from ae_jax.core import errors

KINDS = ("float32", "mixed", "bfloat16")


def check(kind: str | None) -> None:
    """Raises UserError unless it is one of KINDS, or None, which is float32."""
    if kind is not None and kind not in KINDS:
        raise errors.unknown("train.precision", kind, KINDS)


def _cast(dtype, tree):
    is_float = lambda leaf: hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jnp.floating)
    return jax.tree.map(lambda leaf: leaf.astype(dtype) if is_float(leaf) else leaf, tree)


full = functools.partial(_cast, jnp.float32)
_half = functools.partial(_cast, jnp.bfloat16)


def stored(kind: str | None, params: Any) -> Any:
    """Parameters as training keeps them."""
    return _half(params) if kind == "bfloat16" else params


def apply(kind: str | None, model: Any, variables: Any, *arguments: Any, **options: Any) -> Any:
    """`model.apply`, its networks computing in this precision."""
    if kind in (None, "float32"):
        return model.apply(variables, *arguments, **options)
    params = {name: _half(part) if name in model.networks else part for name, part in variables["params"].items()}
    with nn.intercept_methods(_door(model.networks)):
        return model.apply({**variables, "params": params}, *arguments, **options)


def _door(networks):
    """What goes into a network is rounded, what comes out is not: only inside does it compute in bfloat16."""
    inside = []

    def pass_through(method, arguments, options, context):
        is_net = context.module.path in [(name,) for name in networks] and context.method_name != "setup"
        if inside or not is_net:  # a network's own helpers are inside
            return method(*arguments, **options)
        inside.append(context.module)
        try:
            return full(method(*_half(arguments), **_half(options)))
        finally:
            inside.pop()

    return pass_through
