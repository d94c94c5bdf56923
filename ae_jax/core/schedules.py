"""Schedules: numbers that vary over training, given as text such as "linear:FROM:TO:STEPS".

Their parameters are arrays inside a pytree, so that runs that differ only in these numbers share a compiled program.
"""

import ast
import functools
import inspect
import math
from collections.abc import Callable
from typing import TypeAlias

import flax.struct
import jax
import jax.numpy as jnp
from jaxtyping import Float, Real

from ae_jax.core import errors
from ae_jax.core.types import Array, Tree

Step: TypeAlias = int | Real[Array, ""]

_FORMS = {
    "linear": "linear:FROM:TO:STEPS",
    "cosine": "cosine:FROM:TO:STEPS",
    "cyclic": "cyclic:FROM:TO:PERIOD",
    "sigmoid": "sigmoid:RATE",
}
_LAST_STEP = 10**9  # a step that no training reaches
EXPECTED = f"expected a number, {', '.join(_FORMS.values())}, or optax.SCHEDULE(argument=value, ...)"


class Schedule(flax.struct.PyTreeNode):
    """A function of the step whose parameters are arrays."""

    parameters: tuple[Array, ...]  # scalars, float32
    kind: str = flax.struct.field(pytree_node=False)

    def __call__(self, step: Step) -> Float[Array, ""]:
        """Return the value at a step."""
        return _FUNCTIONS[self.kind](step, *self.parameters)


class OptaxSchedule(flax.struct.PyTreeNode):
    """A schedule of Optax, whose arguments are constants of the compiled program."""

    name: str = flax.struct.field(pytree_node=False)
    arguments: tuple[tuple[str, Tree], ...] = flax.struct.field(pytree_node=False)

    def __call__(self, step: Step) -> Float[Array, ""]:
        """Return the value at a step."""
        schedule = _optax_schedules()[self.name](**dict(self.arguments))
        return jnp.asarray(schedule(step), jnp.float32)


def _linear(step: Step, start: Array, end: Array, steps: Array) -> Array:
    return start + (end - start) * jnp.clip(step / steps, 0, 1)


def _cosine(step: Step, start: Array, end: Array, steps: Array) -> Array:
    return end + (start - end) * 0.5 * (1 + jnp.cos(jnp.pi * jnp.clip(step / steps, 0, 1)))


def _cyclic(step: Step, start: Array, end: Array, period: Array) -> Array:
    """Rise over the first half of every period, then stay.

    Fu et al. 2019, arXiv:1903.10145, section 4.
    """
    return _linear(jnp.mod(step, period), start, end, period / 2)


def _sigmoid(step: Step, rate: Array) -> Array:
    """Return 1 - k / (k + exp(i / k)) at step i, for the rate k; it rises from about 0 to 1.

    This is one minus the inverse sigmoid decay of Bengio et al. 2015, arXiv:1506.03099, section 2.4.
    """
    return 1 - rate / (rate + jnp.exp(step / rate))


_FUNCTIONS: dict[str, Callable[..., Array]] = {
    "linear": _linear,
    "cosine": _cosine,
    "cyclic": _cyclic,
    "sigmoid": _sigmoid,
}


def parse(value: object) -> Float[Array, ""] | Schedule | OptaxSchedule:
    """Turn a number or the text of a schedule into a float32 scalar or a schedule.

    Raises:
      UserError: for anything else; the message lists the forms.
    """
    if not isinstance(value, str):
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise errors.UserError(f"{value!r} is not a number or a schedule\n{EXPECTED}")
        return jnp.asarray(value, jnp.float32)
    if value.startswith("optax."):
        return _parse_optax(value)
    if _is_number(value):
        return jnp.asarray(float(value), jnp.float32)
    kind, *texts = value.split(":")
    if kind not in _FORMS or len(texts) != _FORMS[kind].count(":") or not all(_is_number(text) for text in texts):
        raise errors.UserError(f"{value!r} is not a schedule\n{EXPECTED}")
    parameters = tuple(jnp.asarray(float(text), jnp.float32) for text in texts)
    if parameters[-1] <= 0:
        raise errors.UserError(f"{value!r}: the last number must be positive\nthe form is {_FORMS[kind]}")
    return Schedule(parameters, kind)


def form(value: float | str) -> str:
    """Return the part of a number or schedule that a compiled program treats as constant.

    Returns:
      "number", the kind of a schedule, or the whole text of a schedule of Optax.
    """
    parsed = parse(value)
    if isinstance(parsed, OptaxSchedule):
        return str(value)
    return parsed.kind if isinstance(parsed, Schedule) else "number"


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


@functools.cache
def _optax_schedules() -> dict[str, Callable[..., Callable[[Step], Array]]]:
    """Return {name: function} of Optax's schedules; a config can call nothing else of Optax."""
    import optax

    found: dict[str, Callable[..., Callable[[Step], Array]]] = {}
    for name, value in vars(optax).items():
        is_transformation = name.startswith("scale_by_")
        if name.endswith("_schedule") and inspect.isfunction(value) and not is_transformation:
            found[name] = value
    return found


def _parse_optax(text: str) -> OptaxSchedule:
    """Parse "optax.NAME(argument=value, ...)", whose values are Python literals."""
    name, arguments = _parse_call(text)
    if name not in _optax_schedules():
        raise errors.unknown("schedule of Optax", name, _optax_schedules())
    schedule = OptaxSchedule(name, tuple(arguments.items()))
    try:
        schedule(0)
    except (TypeError, ValueError) as error:
        raise errors.UserError(f"optax.{name} refuses {arguments}: {error}\n{EXPECTED}") from None
    return schedule


def _parse_call(text: str) -> tuple[str, dict[str, Tree]]:
    """Return the name and the arguments of a call such as "optax.NAME(argument=value)"."""
    try:
        call = ast.parse(text, mode="eval").body
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute):
            arguments = {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in call.keywords}
            # Neither positional arguments nor a path such as optax.contrib.NAME.
            if isinstance(call.func.value, ast.Name) and not call.args:
                return call.func.attr, arguments
    except (SyntaxError, ValueError):
        pass  # neither Python nor literals: refused like any other expression
    raise errors.UserError(f"{text!r} cannot be read as a schedule of Optax\n{EXPECTED}")


def at(tree: Tree, step: Step) -> Tree:
    """Replace every schedule in a pytree by its value at `step`."""
    return _replace(tree, lambda schedule: schedule(step))


def in_the_end(tree: Tree) -> Tree:
    """Replace every schedule in a pytree by its final value.

    The final value of a cyclic schedule is that at the end of a period.
    """

    def final(schedule: Schedule | OptaxSchedule) -> Array:
        if isinstance(schedule, Schedule) and schedule.kind == "cyclic":
            return schedule.parameters[1]
        return schedule(_LAST_STEP)

    return _replace(tree, final)


def _replace(tree: Tree, value_of: Callable[[Schedule | OptaxSchedule], Array]) -> Tree:
    """Replace every schedule in a pytree by `value_of` it."""

    def is_schedule(leaf: object) -> bool:
        return isinstance(leaf, Schedule | OptaxSchedule)

    return jax.tree.map(lambda leaf: value_of(leaf) if is_schedule(leaf) else leaf, tree, is_leaf=is_schedule)
