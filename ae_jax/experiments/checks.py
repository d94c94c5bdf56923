"""Check a whole config before anything is built, and fill in the keys that it lacks."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from ae_jax.core import errors, forms
from ae_jax.core.errors import UserError
from ae_jax.experiments import sections


def complete(config: ConfigDict) -> ConfigDict:
    """Fill in the keys that a config lacks, and check it; raise the errors of `check`."""
    config = filled(config)
    check(config)
    return config


def check(config: ConfigDict) -> None:
    """Check the keys and values of a config that do not depend on the names in it.

    The options of the data source, corruption, model, objective and optimiser are checked by the functions that read
    them.

    Raises:
      UnknownKey: a key does not exist.
      UserError: a key has a value that is not allowed, or two keys contradict each other.
    """
    # A misspelt key comes first: it is also the likely cause of the errors below.
    for key in unknown_keys(config):
        raise errors.UnknownKey(key, known_keys())
    _check_are_sections(config)
    for section in ("", *sections.SECTIONS):
        _check_values(section, config[section] if section else config)
    _check_values_of_metrics("expected", sections.Expected, config.expected, "source", "dict(value=0.09, source='...')")
    _check_values_of_metrics(
        "regression", sections.Regression, config.regression, "value", "dict(value=0.09, sd=0.001, seeds=3)"
    )
    _check_together(config.train)


def known_keys() -> list[str]:
    """List the dotted keys that every config has, and the names of its sections."""
    found = [*sections.fields(""), *sections.SECTIONS]
    return found + [f"{section}.{name}" for section in sections.SECTIONS for name in sections.fields(section)]


def unknown_keys(config: Mapping[str, Any]) -> list[str]:
    """List the dotted keys that do not exist, at the top level and in train, eval and mesh.

    A key that is None counts as absent, because None is how a user removes a key.
    """
    known = known_keys()
    found = [key for key, value in config.items() if key not in known and value is not None]
    for section in ("train", "eval", "mesh"):
        keys = config[section].items() if is_section(config.get(section)) else ()
        found += [f"{section}.{key}" for key, value in keys if f"{section}.{key}" not in known and value is not None]
    return found


def filled(config: ConfigDict) -> ConfigDict:
    """Return the config with the keys that it lacks at their defaults.

    A config that an older version stored lacks the keys that were added since. Every default therefore keeps the
    behaviour of the versions that did not have its key.
    """
    missing = {}
    for section, value in sections.defaults().items():
        if section not in config:
            missing[section] = value
        elif section in sections.ALWAYS and is_section(config[section]):
            absent = [key for key in value if key not in config[section]]
            missing |= {f"{section}.{key}": value[key] for key in absent}
    if not missing:
        return config
    # The caller's config may be locked, or be stored elsewhere: a copy is changed.
    complete = config.copy_and_resolve_references()
    with complete.unlocked():
        complete.update_from_flattened_dict(missing)
    return complete


def is_section(value: Any) -> bool:
    """Return whether a value of a config is a section."""
    return isinstance(value, Mapping | ConfigDict)


def _check_values(name: str, section: ConfigDict) -> None:
    """Raise UserError for a key of a section whose value has the wrong type or is out of range."""
    for key, annotation in sections.fields(name).items():
        if key in section:
            forms.check(f"{name}.{key}" if name else key, section[key], forms.of(annotation))


def _check_are_sections(config: ConfigDict) -> None:
    """Raise UserError for a section that is a plain value."""
    for name in ("weights", "expected", "regression", *sections.SECTIONS):
        if not is_section(config[name]):
            raise UserError(f"config key {name!r} is {config[name]!r}\nexpected a section, such as dict(key=value)")


def _check_values_of_metrics(section: str, kind: type, values: ConfigDict, needed: str, form: str) -> None:
    """Raise UserError for an incomplete entry of a section of metrics, or an unknown key in it.

    Args:
      section: the name of the section.
      kind: the class of one entry.
      values: the section, {metric: entry}.
      needed: the key that every entry has. A number without a source could not be judged when a run misses it.
      form: an example of an entry.
    """
    valid = [field.name for field in dataclasses.fields(kind)]
    for metric, one in values.items():
        if not is_section(one) or needed not in one:
            plain = one.to_dict() if isinstance(one, ConfigDict) else one
            raise UserError(f"config key '{section}.{metric}' is {plain!r}\nexpected {form}")
        for key in one:
            if key not in valid:
                raise errors.UnknownKey(f"{section}.{metric}.{key}", [f"{section}.{metric}.{name}" for name in valid])


def _check_together(train: ConfigDict) -> None:
    """Raise UserError for keys of section train that contradict each other."""
    pieces = train.accumulate or 1
    if train.batch_size % pieces:
        divisors = [str(number) for number in range(2, train.batch_size + 1) if train.batch_size % number == 0]
        shown = divisors if len(divisors) <= 8 else [*divisors[:8], "..."]
        raise UserError(
            f"train.accumulate={pieces} must divide train.batch_size={train.batch_size}\nuse {', '.join(shown)}"
        )
    # Steps that contradict epochs would be a silent choice between two lengths of training.
    if (train.steps is None) == (train.epochs is None):
        given = "both" if train.steps is not None else "neither"
        raise UserError(f"train.steps and train.epochs: {given} is given\nset one of them, and the other to None")
