"""Numbers that vary over training: a number, or a string such as "linear:FROM:TO:STEPS", to a value at a step.

The parameters are arrays inside a pytree, so that runs that differ in nothing else share one compiled program.
"""

import ast
import functools
import inspect
import math
from collections.abc import Callable
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp

from ae_jax.core import errors

_FORMS = {
    "linear": "linear:FROM:TO:STEPS",
    "cosine": "cosine:FROM:TO:STEPS",
    "cyclic": "cyclic:FROM:TO:PERIOD",
    "sigmoid": "sigmoid:RATE",
}
_LAST = 10**9  # a step that no training reaches
EXPECTED = f"expected a number, {', '.join(_FORMS.values())}, or optax.SCHEDULE(argument=value, ...)"


@flax.struct.dataclass
class Schedule:
    """A function of the step with array parameters."""

    parameters: tuple[Any, ...]  # scalars, float32
    kind: str = flax.struct.field(pytree_node=False)

    def __call__(self, step):
        return _FUNCTIONS[self.kind](step, *self.parameters)


@flax.struct.dataclass
class OptaxSchedule:
    """A schedule of Optax by name, its arguments fixed when it is traced."""

    name: str = flax.struct.field(pytree_node=False)
    arguments: tuple[tuple[str, Any], ...] = flax.struct.field(pytree_node=False)

    def __call__(self, step):
        return jnp.asarray(_of_optax()[self.name](**dict(self.arguments))(step), jnp.float32)


def _linear(step, start, end, steps):
    return start + (end - start) * jnp.clip(step / steps, 0, 1)


def _cosine(step, start, end, steps):
    return end + (start - end) * 0.5 * (1 + jnp.cos(jnp.pi * jnp.clip(step / steps, 0, 1)))


def _cyclic(step, start, end, period):
    """Rises over the first half of every period, then stays (Fu et al. 2019, arXiv:1903.10145, section 4)."""
    return _linear(jnp.mod(step, period), start, end, period / 2)


def _sigmoid(step, rate):
    """1 - k / (k + exp(i/k)), from about 0 to 1 (Bengio et al. 2015, arXiv:1506.03099, section 2.4)."""
    return 1 - rate / (rate + jnp.exp(step / rate))


_FUNCTIONS = {"linear": _linear, "cosine": _cosine, "cyclic": _cyclic, "sigmoid": _sigmoid}


def parse(value: float | str) -> Any:
    """A number as a float32 scalar, or a schedule. Raises UserError that lists the forms."""
    if not isinstance(value, str):
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise errors.UserError(f"{value!r} is not a number or a schedule\n{EXPECTED}")
        return jnp.float32(value)
    if value.startswith("optax."):
        return _parse_optax(value)
    if _is_number(value):
        return jnp.float32(float(value))
    kind, *texts = value.split(":")
    if kind not in _FORMS or len(texts) != _FORMS[kind].count(":") or not all(map(_is_number, texts)):
        raise errors.UserError(f"{value!r} is not a schedule\n{EXPECTED}")
    parameters = tuple(jnp.float32(float(text)) for text in texts)
    if parameters[-1] <= 0:
        raise errors.UserError(f"{value!r}: the last number must be positive\nthe form is {_FORMS[kind]}")
    return Schedule(parameters, kind)


def form(value: float | str) -> str:
    """What of a number is fixed when a program is traced: that it is one, the kind of schedule, or all of Optax's."""
    parsed = parse(value)
    if isinstance(parsed, OptaxSchedule):
        return value
    return parsed.kind if isinstance(parsed, Schedule) else "number"


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


@functools.cache
def _of_optax() -> dict[str, Callable]:
    """Return {name: function} of Optax's schedules. Nothing else of Optax can be called from a config."""
    import optax

    named = {
        key: value for key, value in vars(optax).items() if key.endswith("_schedule") and inspect.isfunction(value)
    }
    return {key: value for key, value in named.items() if not key.startswith("scale_by_")}  # those are transformations


def _parse_optax(text: str) -> OptaxSchedule:
    try:
        call = ast.parse(text, mode="eval").body
        name = call.func.attr
        arguments = {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords}
        well_formed = isinstance(call.func.value, ast.Name) and not call.args
    except (SyntaxError, ValueError, AttributeError):
        well_formed = False
    if not well_formed:
        raise errors.UserError(f"{text!r} cannot be read as a schedule of Optax\n{EXPECTED}")
    if name not in _of_optax():
        raise errors.unknown("schedule of Optax", name, _of_optax())
    schedule = OptaxSchedule(name, tuple(arguments.items()))
    try:
        schedule(0)
    except (TypeError, ValueError) as error:
        raise errors.UserError(f"optax.{name} refuses {arguments}: {error}\n{EXPECTED}") from None
    return schedule


def at(tree: Any, step: Any) -> Any:
    """The tree with every schedule replaced by its value at `step`."""
    return _replaced(tree, lambda schedule: schedule(step))


def in_the_end(tree: Any) -> Any:
    """The tree with every schedule replaced by what it comes to: of a cyclic one, where every period ends."""
    end = lambda schedule: schedule.parameters[1] if getattr(schedule, "kind", "") == "cyclic" else schedule(_LAST)
    return _replaced(tree, end)


def _replaced(tree, value_of):
    is_schedule = lambda leaf: isinstance(leaf, Schedule | OptaxSchedule)
    return jax.tree.map(lambda leaf: value_of(leaf) if is_schedule(leaf) else leaf, tree, is_leaf=is_schedule)
