"""Schedules: numbers that vary over training, given as text such as "linear:FROM:TO:STEPS".

The kind of a schedule and its parameters are arrays, and a number is a schedule that stays where it is. So runs that
differ only in numbers and schedules share a compiled program. Only a schedule of Optax is a constant of its program.
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
from jaxtyping import Float, Int, Real

from ae_jax.core import errors
from ae_jax.core.types import Array, Tree

Step: TypeAlias = int | Real[Array, ""]
_Numbers: TypeAlias = Float[Array, "..."]

_FORMS = {
    "linear": "linear:FROM:TO:STEPS",
    "cosine": "cosine:FROM:TO:STEPS",
    "cyclic": "cyclic:FROM:TO:PERIOD",
    "sigmoid": "sigmoid:RATE",
}
_LAST_STEP = 10**9  # a step that no training reaches
EXPECTED = f"expected a number, {', '.join(_FORMS.values())}, or optax.SCHEDULE(argument=value, ...)"


class Schedule(flax.struct.PyTreeNode):
    """A function of the step.

    Args:
      kind: int32 scalar, the place of its name in `_FUNCTIONS`.
      parameters: float32 [3]: from, to, and the number of steps, the period or the rate.
    """

    kind: Array
    parameters: Array


class OptaxSchedule(flax.struct.PyTreeNode):
    """A schedule of Optax, whose arguments are constants of the compiled program."""

    name: str = flax.struct.field(pytree_node=False)
    arguments: tuple[tuple[str, Tree], ...] = flax.struct.field(pytree_node=False)

    def __call__(self, step: Step) -> Float[Array, ""]:
        """Return the value at a step."""
        schedule = _optax_schedules()[self.name](**dict(self.arguments))
        return jnp.asarray(schedule(step), jnp.float32)


def _linear(step: _Numbers, start: _Numbers, end: _Numbers, steps: _Numbers) -> _Numbers:
    return start + (end - start) * jnp.clip(step / steps, 0, 1)


def _cosine(step: _Numbers, start: _Numbers, end: _Numbers, steps: _Numbers) -> _Numbers:
    return end + (start - end) * 0.5 * (1 + jnp.cos(jnp.pi * jnp.clip(step / steps, 0, 1)))


def _cyclic(step: _Numbers, start: _Numbers, end: _Numbers, period: _Numbers) -> _Numbers:
    """Rise over the first half of every period, then stay.

    Fu et al. 2019, arXiv:1903.10145, section 4.
    """
    return _linear(jnp.mod(step, period), start, end, period / 2)


def _sigmoid(step: _Numbers, start: _Numbers, end: _Numbers, rate: _Numbers) -> _Numbers:
    """Return 1 - k / (k + exp(i / k)) at step i, for the rate k; it rises from about 0 to 1.

    This is one minus the inverse sigmoid decay of Bengio et al. 2015, arXiv:1506.03099, section 2.4.
    """
    # Late in training exp overflows to infinity. The quotient is then 0 and the value 1, which is the limit.
    return 1 - rate / (rate + jnp.exp(step / rate))


_FUNCTIONS: dict[str, Callable[..., _Numbers]] = {
    "linear": _linear,
    "cosine": _cosine,
    "cyclic": _cyclic,
    "sigmoid": _sigmoid,
}
_CYCLIC = list(_FUNCTIONS).index("cyclic")


def _values(kinds: Int[Array, " N"], parameters: Float[Array, "N 3"], step: Step) -> Float[Array, " N"]:
    """Return the values of schedules at a step, float32.

    Args:
      kinds: the places of their names in `_FUNCTIONS`.
      parameters: as those of `Schedule`.
      step: the step.
    """
    at = jnp.asarray(step, jnp.float32)
    start, end, horizon = parameters.T
    # The kind is a number that the program receives, so all functions are evaluated, and one value is selected.
    values = [function(at, start, end, horizon) for function in _FUNCTIONS.values()]
    return jnp.select([kinds == place for place in range(len(values))], values)


def parse(value: object) -> Schedule | OptaxSchedule:
    """Turn a number or the text of a schedule into a schedule.

    Raises:
      UserError: for anything else; the message lists the forms.
    """
    if not isinstance(value, str):
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise errors.UserError(f"{value!r} is not a number or a schedule\n{EXPECTED}")
        return _constant(float(value))
    if value.startswith("optax."):
        return _parse_optax(value)
    if _is_number(value):
        return _constant(float(value))
    kind, *texts = value.split(":")
    if kind not in _FORMS or len(texts) != _FORMS[kind].count(":") or not all(_is_number(text) for text in texts):
        raise errors.UserError(f"{value!r} is not a schedule\n{EXPECTED}")
    *ends, horizon = (float(text) for text in texts)
    if horizon <= 0:
        raise errors.UserError(f"{value!r}: the last number must be positive\nthe form is {_FORMS[kind]}")
    return _schedule(kind, ends or [0.0, 1.0], horizon)


def _constant(value: float) -> Schedule:
    # A number is a linear schedule, so that it has the same pytree as a schedule and shares its compiled program.
    return _schedule("linear", [value, value], 1.0)


def _schedule(kind: str, ends: list[float], horizon: float) -> Schedule:
    place = list(_FUNCTIONS).index(kind)
    return Schedule(jnp.asarray(place, jnp.int32), jnp.asarray([*ends, horizon], jnp.float32))


def fixed_part(value: int | float | str) -> str:
    """Return the part of a number or schedule that is a constant of its compiled program.

    Returns:
      "", or the whole text of a schedule of Optax.
    """
    return str(value) if isinstance(parse(value), OptaxSchedule) else ""


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
    return _replace(tree, step, _values)


def in_the_end(tree: Tree) -> Tree:
    """Replace every schedule in a pytree by its final value.

    The final value of a cyclic schedule is that at the end of a period.
    """

    def final(kinds: Int[Array, " N"], parameters: Float[Array, "N 3"], step: Step) -> Float[Array, " N"]:
        return jnp.where(kinds == _CYCLIC, parameters[:, 1], _values(kinds, parameters, step))

    return _replace(tree, _LAST_STEP, final)


def _replace(tree: Tree, step: Step, values: Callable[[Array, Array, Step], Array]) -> Tree:
    """Replace every schedule in a pytree by its value.

    Args:
      tree: the pytree.
      step: the step.
      values: the function (kinds [N], parameters [N, 3], step) -> [N] of schedules that are not of Optax.
    """
    leaves, structure = jax.tree.flatten(tree, is_leaf=_is_schedule)
    places = [place for place, leaf in enumerate(leaves) if isinstance(leaf, Schedule)]
    if places:
        # All are evaluated together. A compiled step then has one small operation more, and not one for each number.
        kinds = jnp.stack([leaves[place].kind for place in places])
        parameters = jnp.stack([leaves[place].parameters for place in places])
        together = values(kinds, parameters, step)
        for number, place in enumerate(places):
            leaves[place] = together[number]
    leaves = [leaf(step) if isinstance(leaf, OptaxSchedule) else leaf for leaf in leaves]
    return jax.tree.unflatten(structure, leaves)


def _is_schedule(leaf: object) -> bool:
    return isinstance(leaf, Schedule | OptaxSchedule)
