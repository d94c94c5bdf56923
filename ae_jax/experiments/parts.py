"""From a model section to the model: its parts by their names, each given the options that it has a field for."""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn

from ae_jax.core import errors, lookup
from ae_jax.core.errors import UserError
from ae_jax.core.types import DataSpec
from ae_jax.models.base import Family
from ae_jax.models.likelihoods import Likelihood
from ae_jax.models.posteriors import Posterior
from ae_jax.models.priors import Prior

# The parts of a model that a config names: {key of section model: (folder, what the module exposes)}.
_NETS = {"encoder": ("nets", "Encoder"), "decoder": ("nets", "Decoder")}
_PARTS = {
    "likelihood": ("likelihoods", "Likelihood"),
    "posterior": ("posteriors", "Posterior"),
    "prior": ("priors", "Prior"),
}
# What the classes inherit from that those keys name; a net is any module.
_BASES = {"name": Family, "likelihood": Likelihood, "posterior": Posterior, "prior": Prior}


def build(section: Any, spec: DataSpec, open_run: Callable | None = None) -> Family:
    """Return the model of a model section. Each of its parts gets the options that it has a field for.

    Args:
      section: the model section of a config.
      spec: what the examples look like.
      open_run: the function that opens another run, for the family or parts with a field `open_run`.

    Raises:
      UserError: there is no such family or part, or nothing reads a key.
    """
    options = {key: value for key, value in section.items() if value is not None}
    _check_is_given("name", "models", options)
    family = family_of(options.pop("name"))
    fields, numbers = _parameters(family), varying(family)
    if "likelihood" in fields:
        _check_is_given("likelihood", "likelihoods", options)
    options = {key: value for key, value in options.items() if key not in numbers}
    parts, read = {}, set()
    for role, (folder, attribute) in {**_NETS, **_PARTS}.items():
        if role in options and role in fields:
            part = _checked(role, lookup.find(folder, options.pop(role), attribute))
            mine = _options_for(part, role, options)
            read |= set(mine)
            arguments = _in_tuples(part, {key.removeprefix(f"{role}_"): value for key, value in mine.items()})
            arguments |= _opener(part, open_run)
            parts[role] = part(**arguments) if role in _NETS else functools.partial(part, **arguments)
    own = _in_tuples(family, {key: value for key, value in options.items() if key in fields})
    unread = options.keys() - read - own.keys()
    if unread:
        key = sorted(unread)[0]
        valid = {*fields, *numbers, *read, *(name for part in parts.values() for name in _parameters(part))} - {"spec"}
        raise UserError(
            f"config key 'model.{key}' is read by nothing{errors.nearest(key, valid)}\n"
            f"leave it out, or set it to None; what this model reads: {', '.join(sorted(valid))}"
        )
    return family(spec=spec, **parts, **own, **_opener(family, open_run))


def _check_is_given(key: str, folder: str, options: Mapping[str, Any]) -> None:
    """Raise UserError where a key of section model is None that has to be set."""
    if key not in options:
        raise UserError(f"model.{key} is None\nexpected one of: {', '.join(lookup.choices(folder))}")


def _opener(part: Any, open_run: Callable | None) -> dict[str, Any]:
    """Return the argument `open_run` for a part that has a field of this name."""
    return {"open_run": open_run} if "open_run" in _signature(part) else {}


def family_of(name: str) -> type[Family]:
    """Return the class of the model family that model.name names. Raise UserError where there is none."""
    return _checked("name", lookup.find("models", name, "Model"))


def _checked(key: str, found: Any) -> type[nn.Module]:
    """Return what the key names. Raise UserError, before it is called, unless it is a class of the right kind."""
    base = _BASES.get(key, nn.Module)
    if not (inspect.isclass(found) and issubclass(found, base)):
        raise UserError(
            f"model.{key} is {found!r}\nexpected a class that inherits from {base.__module__}.{base.__name__}"
        )
    return found


def _parameters(part: Any) -> set[str]:
    """Return the names of the arguments that a config may give to a class, a function, a module or a partial."""
    return set(_signature(part)) - {"parent", "name", "open_run"}


def _signature(part: Any) -> Mapping[str, inspect.Parameter]:
    function = part if inspect.isclass(part) or inspect.isfunction(part) else getattr(part, "func", type(part))
    return inspect.signature(function).parameters


def _in_tuples(part: Any, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments, a lone number where this part has several as one of several: hidden=32 is (32,)."""
    defaults = {name: parameter.default for name, parameter in _signature(part).items()}
    lone = lambda key, value: isinstance(defaults.get(key), tuple) and isinstance(value, int)
    return {key: (value,) if lone(key, value) else value for key, value in arguments.items()}


def _options_for(part: Any, role: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that this part has a field for; `encoder_hidden` is `hidden` for the encoder alone."""
    fields = _parameters(part) - {"spec", "latent_dim"} if role in _PARTS else _parameters(part)
    special = {
        key: value
        for key, value in options.items()
        if key.removeprefix(f"{role}_") in fields and key.startswith(f"{role}_")
    }
    shared = {key: value for key, value in options.items() if key in fields and f"{role}_{key}" not in special}
    return {**shared, **special}


def varying(family: Any) -> tuple[str, ...]:
    """The keys of section model that are numbers of this family's hparams, and no fields of its modules."""
    return family.varying
