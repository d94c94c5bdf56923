"""From a name to a module or an object: ours, or the user's own `package.module:Name`. The folder is the registry."""

import importlib
import inspect
import pkgutil
from typing import Any

from ae_jax import errors

# What stands in a folder, in words, where it is not the folder's name without its s.
_WORDS = {"data": "data source", "evaluation": "metric", "plots": "figure", "sweep_plots": "figure"}
_FIGURES_OF = {"plots": "one run", "sweep_plots": "a sweep"}


def choices(folder: str) -> list[str]:
    """The names that exist in `ae_jax.<folder>`: its files."""
    package = importlib.import_module(f"ae_jax.{folder}")
    return sorted(module.name for module in pkgutil.iter_modules(package.__path__))


def word(folder: str) -> str:
    """What one of a folder is called."""
    return _WORDS.get(folder, folder.removesuffix("s"))


def module(folder: str, name: str) -> Any:
    """The module `ae_jax.<folder>.<name>`. Raises UserError that lists what exists."""
    names = choices(folder)
    if name in names:
        return importlib.import_module(f"ae_jax.{folder}.{name}")
    here = _FIGURES_OF.get(folder)
    for other, there in _FIGURES_OF.items():
        if here and name in choices(other):
            raise errors.UserError(
                f"{name!r} is a figure of {there}, and this is {here}\nfigures of {here}: {', '.join(names)}"
            )
    raise errors.unknown(word(folder), name, names)


def find(folder: str, name: str, attribute: str) -> Any:
    """`attribute` of the module `ae_jax.<folder>.<name>`, or the object that "package.module:Name" is.

    Raises UserError where there is no such module, or the module has no such attribute.
    """
    if ":" in name:
        return imported(name)
    found = getattr(module(folder, name), attribute, None)
    if found is None:
        raise errors.UserError(
            f"{word(folder)} {name!r} has no {attribute}\ntry another of: {', '.join(choices(folder))}"
        )
    return found


def imported(path: str) -> Any:
    """The object at "package.module:Name" on the import path. Raises UserError where either part is missing."""
    module_name, _, name = path.partition(":")
    if not module_name or not name:
        raise errors.UserError(f"{path!r} names nothing\nexpected package.module:Name")
    try:
        home = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        # A missing import *inside* the user's module is a bug of that module: its traceback is wanted.
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise
        raise errors.UserError(
            f"no module {module_name!r} on the import path (asked for by {path!r})\n"
            f"run from the folder that holds it, or add that folder to PYTHONPATH"
        ) from None
    if not hasattr(home, name):
        own = [key for key, value in vars(home).items() if getattr(value, "__module__", "") == module_name]
        raise errors.unknown(f"name in {module_name}", name, [key for key in own if not key.startswith("_")])
    return getattr(home, name)


def function(home: Any, name: str, first: tuple[str, ...], what: str) -> Any:
    """The function `name` of the module `home` among those whose first parameters are these, or the user's own."""
    if ":" in name:
        return imported(name)
    functions = {key: value for key, value in vars(home).items() if inspect.isfunction(value) and key[0] != "_"}
    starts = lambda value: tuple(inspect.signature(value).parameters)[: len(first)] == first
    names = [key for key, value in functions.items() if value.__module__ == home.__name__ and starts(value)]
    if name not in names:
        raise errors.unknown(what, name, names)
    return functions[name]
