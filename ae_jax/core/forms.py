"""The values that a config key may have, by an annotation: types, limits, schedules.

An annotation speaks of str, bool, int, float, tuples of these, and None. Where it allows anything else too, as `Any`
and the annotations of arrays do, its form is open: every value is allowed.
"""

import collections.abc
import dataclasses
import math
import types
import typing
from collections.abc import Sequence
from typing import Annotated, TypeGuard

from ae_jax.core.errors import UserError

_NAMES = {bool: "true or false", int: "a whole number", float: "a number", str: "text (in quotes if it is a number)"}
_PLURALS = {int: "whole numbers", float: "numbers", str: "words"}


@dataclasses.dataclass(frozen=True)
class Limits:
    """The limits of the numbers in an annotation: `Annotated[int, Limits(least=1)]`.

    Args:
      least: the smallest number that is allowed.
      above: a number that is itself too small.
      most: the largest number that is allowed.
      below: a number that is itself too large.
      varies: whether a schedule may stand in place of the number.
    """

    least: int | float | None = None
    above: int | float | None = None
    most: int | float | None = None
    below: int | float | None = None
    varies: bool = False

    def allow(self, number: int | float) -> bool:
        """Tell whether a number is finite and lies within the limits."""
        return (
            math.isfinite(number)
            and (self.least is None or number >= self.least)
            and (self.above is None or number > self.above)
            and (self.most is None or number <= self.most)
            and (self.below is None or number < self.below)
        )

    def __str__(self) -> str:
        """Return the words that follow "a number", with a space in front; "" without limits."""
        ends = {"at least": self.least, "above": self.above, "at most": self.most, "below": self.below}
        said = [f"{words} {end}" for words, end in ends.items() if end is not None]
        return f" of {' and '.join(said)}" if said else ""


# What the fields of models and of config sections are annotated with.
Count = Annotated[int, Limits(least=0)]
Size = Annotated[int, Limits(least=1)]
Sizes = Annotated[Sequence[int], Limits(least=1)]
Number = Annotated[float | str, Limits(varies=True)]


@dataclasses.dataclass(frozen=True)
class Form:
    """The values that an annotation allows.

    Args:
      kinds: the types that it names.
      items: the types of the parts of a tuple that it names.
      limits: the limits of every number.
      optional: whether None is allowed.
      is_open: whether values of other types are allowed too.
    """

    kinds: frozenset[type] = frozenset()
    items: frozenset[type] = frozenset()
    limits: Limits = Limits()
    optional: bool = False
    is_open: bool = False

    def __str__(self) -> str:
        """Return what is expected, in words."""
        if self.limits.varies or self.is_open:
            return f"a number{self.limits}" + ", or a schedule such as linear:FROM:TO:STEPS" * self.limits.varies
        said = [_limited(_NAMES, kind, self.limits) for kind in _NAMES if kind in self.kinds]
        said += [_limited(_PLURALS, kind, self.limits) for kind in _PLURALS if kind in self.items]
        return " or ".join(said)


def of(annotation: object) -> Form:
    """Return the values that an annotation allows."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Annotated:
        limits = next((extra for extra in arguments[1:] if isinstance(extra, Limits)), Limits())
        return dataclasses.replace(of(arguments[0]), limits=limits)
    if origin in (typing.Union, types.UnionType):
        return _union([of(argument) for argument in arguments])
    if annotation is types.NoneType:
        return Form(optional=True)
    if isinstance(annotation, type) and annotation in _NAMES:
        return Form(frozenset([annotation]))
    if annotation is tuple or origin in (tuple, list, collections.abc.Sequence):
        items = frozenset(argument for argument in arguments if argument is not ...)
        return Form(frozenset([tuple]), items if items <= _NAMES.keys() else frozenset())
    return Form(is_open=True)


def _union(forms: Sequence[Form]) -> Form:
    return Form(
        kinds=frozenset().union(*(form.kinds for form in forms)),
        items=frozenset().union(*(form.items for form in forms)),
        limits=next((form.limits for form in forms if form.limits != Limits()), Limits()),
        optional=any(form.optional for form in forms),
        is_open=any(form.is_open for form in forms),
    )


def check(key: str, value: object, form: Form, what: str = "config key") -> None:
    """Raise UserError, which tells what is expected, for a value that a form does not allow."""
    if form.limits.varies and isinstance(value, str):
        _check_schedule(key, value, what)
    elif not _allows(form, value):
        raise UserError(f"{what} {key!r} is {value!r}\nexpected {form}")


def _check_schedule(key: str, text: str, what: str) -> None:
    # With it comes JAX, for which most mistakes of a user need not wait.
    from ae_jax.core import schedules

    try:
        schedules.parse(text)
    except UserError as error:
        raise UserError(f"{what} {key!r}: {error}") from None


def _allows(form: Form, value: object) -> bool:
    if isinstance(value, tuple | list) and (form.is_open or tuple in form.kinds):
        parts = Form(form.items, limits=form.limits, is_open=not form.items)
        return all(_allows(parts, part) for part in value)
    if is_number(value) and not form.limits.allow(value):
        return False
    return form.is_open or (form.optional if value is None else _is_one(value, form.kinds))


def _is_one(value: object, kinds: frozenset[type]) -> bool:
    """Tell whether a value is of one of the types. True is no number, and 1 is also a float."""
    if isinstance(value, bool):
        return bool in kinds
    if isinstance(value, int):
        return bool(kinds & {int, float})
    return type(value) in kinds


def is_number(value: object) -> TypeGuard[int | float]:
    """Tell whether a value is an int or a float. True and False are neither."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _limited(names: dict[type, str], kind: type, limits: Limits) -> str:
    return names[kind] + (str(limits) if kind in (int, float) else "")
