"""From a name to a module or an object: ours, or the user's own `package.module:Name`. The folder is the registry."""

import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable
from typing import Any

from ae_jax import errors

# What stands in a folder, in words, where it is not the folder's name without its s.
_WORDS = {"data": "data source", "evaluation": "metric", "plots": "figure", "sweep_plots": "figure"}
_SENTENCES = r"\n\n|\.\s+(?=\W*[A-Z`])"
_CLAUSES = rf"{_SENTENCES}|[;:]\s+(?![^()]*\))|\n(?=.* {{3}})| {{3,}}"  # those of a table, too
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
    """The function `name` of the module `home`, or of any file of the folder `home`, or the user's own.

    Those are meant that are public and whose first parameters are these.
    """
    if ":" in name:
        return imported(name)
    homes = [home]
    if hasattr(home, "__path__"):
        homes = [
            importlib.import_module(f"{home.__name__}.{file.name}") for file in pkgutil.iter_modules(home.__path__)
        ]
    named = {key: value for module in homes for key, value in _functions_of(module).items()}
    starts = lambda value: tuple(inspect.signature(value).parameters)[: len(first)] == first
    names = [key for key, value in named.items() if starts(value)]
    if name not in names:
        raise errors.unknown(what, name, names)
    return named[name]


def _functions_of(module: Any) -> dict[str, Callable]:
    """{name: function} of the public functions that a module defines itself."""
    mine = lambda key, value: inspect.isfunction(value) and key[0] != "_" and value.__module__ == module.__name__
    return {key: value for key, value in vars(module).items() if mine(key, value)}


def told(folder: str, function: Callable, keyword: str) -> str:
    """What is said of an argument of a function in `ae_jax.<folder>`.

    In its docstring, or in the package's, a line begins with the argument's name and a colon, and more indented ones go
    on: its first sentence. Else a clause has the name in backticks, which may say "as in `ae_jax.module.function`"; or
    it is what the module begins with.
    """
    own, package = inspect.getdoc(function) or "", importlib.import_module(f"ae_jax.{folder}")
    clause = next((each for each in re.split(_CLAUSES, own) if f"`{keyword}`" in each), "")
    others = [pkgutil.resolve_name(path) for path in re.findall(r"as\s+in\s+`(ae_jax\.[\w.]+)`", clause)]
    for text in (own, *map(inspect.getdoc, (*others, package))):
        if line := re.search(rf"^( *){keyword}: +(.*(?:\n\1 +.*)*)", text, re.MULTILINE):
            clause = re.split(_SENTENCES, line[2])[0]
            break
    begins = re.split(_SENTENCES, importlib.import_module(function.__module__).__doc__ or "")[0]
    return " ".join((clause or begins).split()).removesuffix(".")
