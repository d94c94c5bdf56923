"""From the text of `--config.KEY=VALUE` to a value of the type that the key has."""

import ast
from typing import Any

from ae_jax.core import forms
from ae_jax.core.errors import UserError
from ae_jax.experiments import sections

# The sections in which every number may be a schedule, whatever reads it.
_VARYING = ("weights", "optimizer", "corruption", "objective")


def read(key: str, before: Any, text: str) -> Any:
    """Return the value of a config key that a text spells.

    Args:
      key: the dotted key.
      before: the value that is replaced. It tells the type of a key that not every config has.
      text: the text.

    Raises:
      UserError: the text spells no value that the key may have.
    """
    section, _, name = key.rpartition(".")
    known = sections.fields(section) if section in ("", *sections.SECTIONS) else {}
    value = literal(text)
    if name in known:
        return _of_form(key, forms.of(known[name]), value, text)
    if value is None or before is None:
        return value
    varies = _is_schedule(before) or forms.is_number(before)
    if isinstance(before, str) and not varies:
        return value if isinstance(value, str) else text  # a folder called 2024_01 is no number
    if varies and (_is_schedule(value) or _is_schedule(before) or key.startswith(_VARYING)):
        forms.check(key, value, forms.of(forms.Number))
        return value
    return like(key, before, value)


def literal(text: str) -> Any:
    """Return the Python value that a text spells, or the text where it spells none."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return ast.literal_eval(text)
    except (ValueError, TypeError, SyntaxError):
        return text


def like(key: str, before: Any, value: Any, what: str = "config key") -> Any:
    """Return a value in the type of another. Raise UserError where it cannot have that type.

    Args:
      key: what the error names.
      before: the other value.
      value: the value.
      what: what the error calls the key.
    """
    if value is None:
        return value
    if isinstance(before, tuple | list):
        parts = _split(value)
        return tuple(like(key, before[0], part, what) for part in parts) if before else tuple(parts)
    if isinstance(before, str):
        return str(value)
    forms.check(key, value, forms.of(type(before)), what)
    return float(value) if isinstance(before, float) else value


def _of_form(key: str, form: forms.Form, value: Any, text: str) -> Any:
    """Return a value in the form of its key: a name 12 is text, one metric is a tuple of one."""
    if value is not None and form.kinds == {str}:
        value = value if isinstance(value, str) else text
    elif value is not None and form.kinds == {tuple}:
        value = tuple(_split(value))
    elif forms.is_number(value) and float in form.kinds:
        value = float(value)
    forms.check(key, value, form)
    return value


def _split(value: Any) -> list[Any]:
    """Return the parts of a tuple, of a text between commas, or of a lone value."""
    if isinstance(value, tuple | list):
        return list(value)
    return [literal(part) for part in value.split(",") if part] if isinstance(value, str) else [value]


def _is_schedule(value: Any) -> bool:
    """Tell whether a value is the text of a schedule."""
    if not isinstance(value, str) or not (":" in value or value.startswith("optax.")):
        return False
    # With it comes JAX, for which most mistakes of a user need not wait.
    from ae_jax.core import schedules

    try:
        schedules.parse(value)
    except UserError:
        return False
    return True
