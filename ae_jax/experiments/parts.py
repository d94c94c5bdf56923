"""Build a model from a config's model section: find its parts, and give each its options."""

import dataclasses
import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn

from ae_jax.core import errors, forms, lookup, options
from ae_jax.core.errors import UserError
from ae_jax.core.types import DataSpec
from ae_jax.models.base import Family
from ae_jax.models.likelihoods import Likelihood
from ae_jax.models.posteriors import Posterior
from ae_jax.models.priors import Prior
from ae_jax.models.quantizers import Quantizer

# The parts of a model that a config names: {key of section model: (folder, what the module exposes)}.
NETS = {"encoder": ("nets", "Encoder"), "decoder": ("nets", "Decoder")}
PARTS = {
    "likelihood": ("likelihoods", "Likelihood"),
    "posterior": ("posteriors", "Posterior"),
    "prior": ("priors", "Prior"),
    "quantizer": ("quantizers", "Quantizer"),
}
# The parts that may have numbers of their own that vary.
_VARY = ("name", "posterior", "quantizer")
# The base classes that these keys require. A net may be any Linen module.
_BASES = {"name": Family, "likelihood": Likelihood, "posterior": Posterior, "prior": Prior, "quantizer": Quantizer}


@dataclasses.dataclass(frozen=True)
class Parts:
    """A model section whose names are resolved. Only the spec of the data is missing.

    Args:
      family: the class of the model.
      fields: the fields of the model, including its parts.
      numbers: {key: number or text of a schedule} of the keys in `varying` of the family and of its parts.
    """

    family: type[Family]
    fields: dict[str, Any]
    numbers: dict[str, Any]

    def build(self, spec: DataSpec) -> Family:
        """Return the model for examples that `spec` describes."""
        return self.family(spec=spec, **self.fields)


def resolve(section: Mapping[str, Any], open_run: Callable | None = None) -> Parts:
    """Resolve the names of a model section, and give each part the options that it reads.

    Args:
      section: the model section of a config. A key that is None counts as absent.
      open_run: the function that opens another run, for the family or parts with a field `open_run`.

    Raises:
      UnknownKey: no part has a field for a key.
      UserError: a name is unknown, or a key has a value that is not allowed.
    """
    given = {key: value for key, value in section.items() if value is not None}
    classes = named(given)
    family = family_of(given["name"])
    read, made = {"name"}, {}
    for role, part in classes.items():
        if role != "name":
            mine = _options_for(part, role, given)
            arguments = _arguments(part, role, mine) | _opener(part, open_run)
            # The other parts get the size of the latent or the spec of the data from the model, when it is set up.
            made[role] = part(**arguments) if role in NETS else functools.partial(part, **arguments)
            read |= {role, *mine}
    own = {key: value for key, value in given.items() if key in fields_of(family, "name") and key not in made}
    words = varying(classes)
    numbers = {key: value for key, value in given.items() if key in words}
    for key, value in numbers.items():
        forms.check(f"model.{key}", value, forms.of(forms.Number))
    for key in sorted(given.keys() - read - own.keys() - numbers.keys()):
        raise errors.UnknownKey(f"model.{key}", _valid_keys(classes), f"model {given['name']!r}")
    return Parts(family, {**made, **_arguments(family, "name", own), **_opener(family, open_run)}, numbers)


def _valid_keys(classes: Mapping[str, type[nn.Module]]) -> list[str]:
    """List the dotted keys that a model section with these classes may have."""
    valid = set(varying(classes))
    for role, part in classes.items():
        valid |= set(fields_of(part, role))
    return [f"model.{name}" for name in valid]


def named(section: Mapping[str, Any]) -> dict[str, type[nn.Module]]:
    """Return {key: class} of the model and of its parts that a model section names.

    Args:
      section: the model section; a part for which the family has no field is ignored.

    Raises:
      UserError: a name is unknown or missing, or names no class of the right kind.
    """
    _check_is_given("name", "models", section)
    family = family_of(section["name"])
    family_fields = fields_of(family, "name")
    if "likelihood" in family_fields:
        _check_is_given("likelihood", "likelihoods", section)
    classes: dict[str, type[nn.Module]] = {"name": family}
    for role, (kind, class_name) in {**NETS, **PARTS}.items():
        if role in family_fields and section.get(role) is not None:
            classes[role] = _checked(role, lookup.find(kind, section[role], class_name))
    return classes


def varying(classes: Mapping[str, Any]) -> dict[str, type[nn.Module]]:
    """Return {key: class that reads it} of the numbers that may vary, of model and parts."""
    return {word: classes[role] for role in _VARY if role in classes for word in classes[role].varying}


def _check_is_given(key: str, folder: str, section: Mapping[str, Any]) -> None:
    """Raise UserError where a required key of section model is None or absent."""
    if section.get(key) is None:
        raise UserError(f"config key 'model.{key}' is None\nexpected one of: {', '.join(lookup.choices(folder))}")


def _opener(part: type[nn.Module], open_run: Callable | None) -> dict[str, Any]:
    """Return the argument `open_run` for a part that has a field of this name."""
    return {"open_run": open_run} if "open_run" in options.of(part) else {}


def fields_of(part: type[nn.Module], role: str) -> dict[str, inspect.Parameter]:
    """Return {field: parameter} of the fields of a part that a config may set.

    Args:
      part: the class of the part, or of the model.
      role: the key of section model that names it, "name" for the model.
    """
    # Linen or the model sets these. The size of the latent is one key of the model, which it gives to its parts.
    of_others = ("parent", "name", "spec", "open_run", *(["latent_dim"] if role in PARTS else []))
    return options.of(part, skip=of_others)


def family_of(name: str) -> type[Family]:
    """Return the model family that model.name names; raise UserError if there is none."""
    return _checked("name", lookup.find("models", name, "Model"))


def _checked(key: str, found: Any) -> Any:
    """Return the class that a key names; raise UserError unless it is a class of the right kind."""
    base = _BASES.get(key, nn.Module)
    if not (inspect.isclass(found) and issubclass(found, base)):
        raise UserError(
            f"model.{key} is {found!r}\nexpected a class that inherits from {base.__module__}.{base.__name__}"
        )
    return found


def _options_for(part: type[nn.Module], role: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys that a part reads; `encoder_hidden` is `hidden` for the encoder alone."""
    fields = fields_of(part, role)
    prefixed = {f"{role}_{name}" for name in fields}
    special = {key: value for key, value in given.items() if key in prefixed}
    shared = {key: value for key, value in given.items() if key in fields and f"{role}_{key}" not in special}
    return {**shared, **special}


def _arguments(part: type[nn.Module], role: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return {field: value} for a part; raise UserError for a value that a field does not allow.

    A single integer is wrapped in a tuple where the field's default is a tuple: hidden=32 becomes (32,).
    """
    arguments, fields = {}, fields_of(part, role)
    for key, value in given.items():
        field = fields[key if key in fields else key.removeprefix(f"{role}_")]
        if isinstance(field.default, tuple) and isinstance(value, int):
            value = (value,)
        forms.check(f"model.{key}", value, forms.of(field.annotation))
        arguments[field.name] = value
    return arguments
