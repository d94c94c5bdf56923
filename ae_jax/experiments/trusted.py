"""Check that stored configs name only trusted modules: a stranger may have written them.

A name in a config is either a bare name of one of this package's registries, or "package.module:Name", which imports
the module and so runs its code. A user who types a command or writes a config file may name any module. A config that
is read from a run directory may name only modules that the user trusts: `--trust=MODULE`, or `trust=("MODULE",)`.

The check runs once, before anything is built from a stored config. It reads every text in the config, whatever its key.
`lookup.imported` imports only names of the form that this check searches for. Therefore no key can be forgotten, data
that are opened later need no second check, and the functions that build from a config need not know its origin.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ml_collections import ConfigDict

from ae_jax.core import lookup
from ae_jax.core.errors import UserError


def modules(*configs: Any) -> tuple[str, ...]:
    """Return the modules that configs, or parts of configs, name as "package.module:Name"."""
    found = [lookup.OWN.fullmatch(text) for config in configs for _, text in _texts(config)]
    return tuple(dict.fromkeys(match[1] for match in found if match))  # each once, in order


def check(config: Any, trust: Sequence[str], where: Any) -> None:
    """Check that a stored config names only trusted modules.

    Args:
        config: the stored config, or a part of one.
        trust: the trusted modules. A package covers the modules in it.
        where: the file that holds the config, for the error.

    Raises:
        UserError: The config names another module. The error names its key, the module and the flag.
    """
    for key, text in _texts(config):
        match = lookup.OWN.fullmatch(text)
        # The dots keep a trusted `nets` from covering a module `nets_of_a_stranger`.
        if match and not any(f"{match[1]}.".startswith(f"{module}.") for module in trust):
            raise UserError(
                f"{key} is {text!r} in {where}, and module {match[1]!r} is not trusted to run here\n"
                f"if you know who wrote it, add --trust={match[1]}, in Python trust=({match[1]!r},)"
            )


def _texts(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Yield (dotted key, text) for every text in a config, including those in lists."""
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, Mapping | ConfigDict):
        for name, each in value.items():
            yield from _texts(each, f"{key}.{name}" if key else name)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _texts(each, key)
