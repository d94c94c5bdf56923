"""Whose code a run directory may run: a stored config is data, and a stranger may have written it.

A name in a config is bare, and then one of this package's registries, or "package.module:Name", which is imported.
Whoever types a command or writes a config file may name any module. A config that is read from disk may name only
modules that the caller trusts: `--trust=MODULE`, or `trust=("MODULE",)`.

The check runs once, before anything is built from a stored config, and reads all of its texts, whatever their keys.
`lookup.imported` imports nothing but texts of the form that is searched for here. Hence no key that resolves names can
be forgotten, data that are opened later need no second check, and the functions that build from a config need not know
where it comes from.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ml_collections import ConfigDict

from ae_jax.core import lookup
from ae_jax.core.errors import UserError


def modules(*configs: Any) -> tuple[str, ...]:
    """Return the modules that configs, or parts of configs, name as "package.module:Name"."""
    found = [lookup.OWN.fullmatch(text) for config in configs for _, text in _texts(config)]
    return tuple(dict.fromkeys(match[1] for match in found if match))


def check(config: Any, trust: Sequence[str], where: Any) -> None:
    """Check that a stored config names no module but those that are trusted.

    Args:
        config: the stored config, or a part of one.
        trust: the trusted modules. A package covers the modules in it.
        where: the file that holds the config, for the error.

    Raises:
        UserError: The config names another module. The error names its key, the module and the flag.
    """
    for key, text in _texts(config):
        match = lookup.OWN.fullmatch(text)
        if match and not any(f"{match[1]}.".startswith(f"{module}.") for module in trust):
            raise UserError(
                f"{key} is {text!r} in {where}, and module {match[1]!r} is not trusted to run here\n"
                f"if you know who wrote it, add --trust={match[1]}, in Python trust=({match[1]!r},)"
            )


def _texts(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Yield (dotted key, text) for every text in a config, those in lists too."""
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, Mapping | ConfigDict):
        for name, each in value.items():
            yield from _texts(each, f"{key}.{name}" if key else name)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _texts(each, key)
