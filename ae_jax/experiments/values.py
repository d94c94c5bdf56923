"""Parse the text of `--config.KEY=VALUE` into a value of the key's type."""

import ast
from typing import Any

from ae_jax.core import forms
from ae_jax.core.errors import UserError
from ae_jax.experiments import sections

# The sections in which every number may be a schedule.
_VARYING = ("weights", "optimizer", "corruption", "objective")


def read(key: str, before: Any, text: str) -> Any:
    """Return the value of a config key that a text spells.

    Args:
      key: the dotted key.
      before: the value that is replaced. It determines the type of a key that `sections` does not define.
      text: the text that the user typed.

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
        # Python reads 2024_01 as a number, which may be the name of a folder.
        return value if isinstance(value, str) else text
    if varies and (_is_schedule(value) or _is_schedule(before) or key.startswith(_VARYING)):
        forms.check(key, value, forms.of(forms.Number))
        return value
    return like(key, before, value)


def literal(text: str) -> Any:
    """Return the Python literal that a text spells, or else the text itself."""
    # Shells and JSON spell true and false in lower case.
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return ast.literal_eval(text)
    except (ValueError, TypeError, SyntaxError):
        return text


def like(key: str, before: Any, value: Any, what: str = "config key") -> Any:
    """Convert a value to the type of another.

    Args:
      key: the key, which the error names.
      before: the other value.
      value: the value; None is returned as it is.
      what: the word for the key in the error.

    Raises:
      UserError: the value cannot have that type.
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
    """Convert a value to the form of its key: a name 12 becomes text, one metric a tuple."""
    if value is not None and form.kinds == {str}:
        value = value if isinstance(value, str) else text
    elif value is not None and form.kinds == {tuple}:
        value = tuple(_split(value))
    elif forms.is_number(value) and float in form.kinds:
        value = float(value)
    forms.check(key, value, form)
    return value


def _split(value: Any) -> list[Any]:
    """Return the items of a tuple, of a text with commas, or a list of the value alone."""
    if isinstance(value, tuple | list):
        return list(value)
    if isinstance(value, str):
        return [literal(part) for part in value.split(",") if part]
    return [value]


def _is_schedule(value: Any) -> bool:
    """Return whether a value is the text of a schedule."""
    if not isinstance(value, str) or not (":" in value or value.startswith("optax.")):
        return False
    # Importing JAX takes seconds, which the user should not wait for if there is a mistake before.
    from ae_jax.core import schedules

    try:
        schedules.parse(value)
    except UserError:
        return False
    return True
