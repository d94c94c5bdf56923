"""Lookup of modules and objects by name; folders are the registries.

A name is that of a file in the folder, or "package.module:Name" for an object of the user's own.
"""

import functools
import importlib
import importlib.util
import inspect
import os
import pathlib
import pkgutil
import re
import sys
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING

from ae_jax.core import errors

if TYPE_CHECKING:
    from ae_jax.core.types import Tree
else:
    Tree = object  # ae_jax.core.types imports JAX, and commands that only print their help do without it

# {kind: (folder whose files are the registry, the name that each file of the kind defines)}.
REGISTRIES = {
    "models": ("models", "Model"),
    "nets": ("models.nets", ""),
    "likelihoods": ("models.likelihoods", "Likelihood"),
    "posteriors": ("models.posteriors", "Posterior"),
    "priors": ("models.priors", "Prior"),
    "quantizers": ("models.quantizers", "Quantizer"),
    "sources": ("data.sources", "load"),
    "samplers": ("evaluation.samplers", "fit"),
    "metrics": ("evaluation.metrics", "evaluate"),
    "figures": ("plots.figures", "figure"),
    "sweep_figures": ("sweeps.figures", "figure"),
    "engines": ("sweeps.engines", "make"),
    "tasks": ("commands.apply.tasks", "run"),
    "commands": ("commands.entry", "main"),
}
# The kinds of which users may name an object of their own. A function must have these first parameters.
_MAY_BE_OWN: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("models", "nets", "likelihoods", "posteriors", "priors", "quantizers", "sources"), ()),
    "samplers": ("codes", "key"),
}
# "package.module:Name", the only form of a name by which anything outside this package is imported.
OWN = re.compile(r"([^\W\d]\w*(?:\.[^\W\d]\w*)*):([^\W\d]\w*)")
# What a member of a kind is called, if not by the kind's name without its s.
_WORDS = {"sources": "data source", "sweep_figures": "figure"}
# What the figures of a kind show, for the error that a figure of the other kind causes.
_FIGURES_OF = {"figures": "one run", "sweep_figures": "a sweep"}


def package(kind: str) -> str:
    """Return the dotted name of the folder that is the registry of a kind."""
    return f"ae_jax.{REGISTRIES[kind][0]}"


@functools.cache
def choices(kind: str, attribute: str = "") -> tuple[str, ...]:
    """List the names of a kind: the files of its folder that define the expected name.

    The files are read and not imported, because most commands need the names and not the modules.

    Args:
      kind: a key of `REGISTRIES`.
      attribute: the name that a file must define; by default the one of the kind.
    """
    attribute = attribute or REGISTRIES[kind][1]
    spec = importlib.util.find_spec(package(kind))
    assert spec is not None and spec.submodule_search_locations is not None, "a registry is a folder of this package"
    folder = pathlib.Path(spec.submodule_search_locations[0])
    defines = re.compile(rf"^(?:def|class) {attribute}\b|^{attribute}\b.* = ", re.MULTILINE)
    files = sorted(folder.glob("[a-z]*.py"))
    return tuple(file.stem for file in files if not attribute or defines.search(file.read_text()))


def word(kind: str) -> str:
    """Return what a member of a kind is called."""
    return _WORDS.get(kind, kind.removesuffix("s"))


def module(kind: str, name: str, attribute: str = "") -> ModuleType:
    """Import the module of a kind that has a name.

    Args:
      kind: a key of `REGISTRIES`.
      name: name of a file in the folder of the kind.
      attribute: the name that the file must define; by default the one of the kind.

    Raises:
      UserError: if there is none; the message lists the names of the kind.
    """
    names = choices(kind, attribute)
    if name in names:
        return importlib.import_module(f"{package(kind)}.{name}")
    here = _FIGURES_OF.get(kind)
    for other, there in _FIGURES_OF.items():
        if here and name in choices(other):
            raise errors.UserError(
                f"{name!r} is a figure of {there}, and this is {here}\nfigures of {here}: {', '.join(names)}"
            )
    raise errors.unknown(word(kind), name, names)


def find(kind: str, name: str, attribute: str) -> Tree:
    """Return what a module of a kind defines or, for some kinds, the user's own object.

    Args:
      kind: a key of `REGISTRIES`.
      name: name of a file in the folder of the kind, or "package.module:Name" for the user's own.
      attribute: the name that the file must define.

    Raises:
      UserError: if there is none, which lists the names of the kind, or if the user's own object is of another kind.
    """
    if ":" in name and kind in _MAY_BE_OWN:
        first = _MAY_BE_OWN[kind]
        return _own_function(name, first, word(kind)) if first else imported(name)
    return getattr(module(kind, name, attribute), attribute)


def imported(path: str) -> Tree:
    """Import the object at "package.module:Name"; the import path includes the current folder.

    Importing runs the module. Names in a config that was read from disk must pass `ae_jax.experiments.trusted` first.

    Raises:
      UserError: if the text has another form, or if there is no such module, or no such name in it.
    """
    match = OWN.fullmatch(path)
    if not match:
        raise errors.UserError(f"{path!r} names nothing\nuse package.module:Name")
    module_name, name = match.groups()
    # Not before the user's own code is needed: a downloaded folder may contain a file named like a package.
    if os.getcwd() not in sys.path:
        # The folder comes last, so that a file in it cannot replace an installed package.
        sys.path.append(os.getcwd())
    try:
        home = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        # An import that fails *inside* the user's module is a bug there, whose traceback the user needs.
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise
        raise errors.UserError(
            f"no module {module_name!r} on the import path, which {path!r} needs\n"
            f"run from the folder that contains it, or add that folder to PYTHONPATH"
        ) from None
    if not hasattr(home, name):
        own = [key for key, value in vars(home).items() if getattr(value, "__module__", "") == module_name]
        raise errors.unknown(f"name in {module_name}", name, [key for key in own if not key.startswith("_")])
    return getattr(home, name)


def function(home: ModuleType, name: str, first: tuple[str, ...], what: str) -> Callable[..., Tree]:
    """Return a public function of a module, or of any file of a package, or the user's own.

    Args:
      home: the module or package.
      name: name of the function, or "package.module:Name" for the user's own.
      first: names of the first parameters, by which the functions of this kind are recognised.
      what: what the function is, for the error message.

    Raises:
      UserError: if there is none; the message lists the functions that exist.
    """
    if ":" in name:
        return _own_function(name, first, what)
    named: dict[str, Callable[..., Tree]] = {}
    for each in _files_of(home):
        for key, value in vars(each).items():
            is_own = inspect.isfunction(value) and value.__module__ == each.__name__
            if is_own and not key.startswith("_") and _begins_with(value, first):
                named[key] = value
    if name not in named:
        raise errors.unknown(what, name, named)
    return named[name]


def _own_function(path: str, first: tuple[str, ...], what: str) -> Callable[..., Tree]:
    """Import the user's own function and check its first parameters, without calling it."""
    found = imported(path)
    if not callable(found) or not _begins_with(found, first):
        raise errors.UserError(f"{path!r} is no {what}\nuse a function whose parameters begin: {', '.join(first)}")
    function: Callable[..., Tree] = found
    return function


def _begins_with(value: Callable[..., object], first: tuple[str, ...]) -> bool:
    """Return whether the first parameters of a function have these names."""
    try:
        parameters = tuple(inspect.signature(value).parameters)
    except (TypeError, ValueError):  # written in C without a signature
        return False
    return parameters[: len(first)] == first


def _files_of(home: ModuleType) -> list[ModuleType]:
    """Import the files of a package; a module is its own only file."""
    if not hasattr(home, "__path__"):
        return [home]
    return [importlib.import_module(f"{home.__name__}.{file.name}") for file in pkgutil.iter_modules(home.__path__)]
