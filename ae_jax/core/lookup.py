"""From a name to a module or an object: ours, or the user's own `package.module:Name`. The folder is the registry."""

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
from typing import Any

from ae_jax.core import errors

# {kind: (folder whose files are the registry, the name that each file of the kind defines)}.
REGISTRIES = {
    "models": ("models", "Model"),
    "nets": ("models.nets", ""),
    "likelihoods": ("models.likelihoods", "Likelihood"),
    "posteriors": ("models.posteriors", "Posterior"),
    "priors": ("models.priors", "Prior"),
    "sources": ("data.sources", "load"),
    "samplers": ("evaluation.samplers", "fit"),
    "metrics": ("evaluation.metrics", "evaluate"),
    "figures": ("plots.figures", "figure"),
    "sweep_figures": ("sweeps.figures", "figure"),
    "engines": ("sweeps.engines", "make"),
    "tasks": ("commands.apply.tasks", "run"),
    "commands": ("commands.entry", "main"),
}
# The kinds of which the user may name an object of their own; of a function, with the names of its first parameters.
_MAY_BE_OWN = {
    **dict.fromkeys(("models", "nets", "likelihoods", "posteriors", "priors", "sources"), ()),
    "samplers": ("codes", "key"),
}
# "package.module:Name", the only form of a name by which anything outside this package is imported.
OWN = re.compile(r"([^\W\d]\w*(?:\.[^\W\d]\w*)*):([^\W\d]\w*)")
# What one of a kind is called, where that is not the kind's name without its s.
_WORDS = {"sources": "data source", "sweep_figures": "figure"}
_SENTENCES = r"\n\n|\.\s+(?=\W*[A-Z`])"
_CLAUSES = rf"{_SENTENCES}|[;:]\s+(?![^()]*\))|\n(?=.* {{3}})| {{3,}}"  # those of a table, too
_FIGURES_OF = {"figures": "one run", "sweep_figures": "a sweep"}


def package(kind: str) -> str:
    """Return the dotted name of the folder that is the registry of a kind."""
    return f"ae_jax.{REGISTRIES[kind][0]}"


@functools.cache
def choices(kind: str, attribute: str = "") -> tuple[str, ...]:
    """List the names that exist of a kind: the files of its folder that define the expected name.

    Args:
      kind: a key of `REGISTRIES`.
      attribute: the name that a file must define; by default the one of the kind. Files are read, not imported.
    """
    attribute = attribute or REGISTRIES[kind][1]
    folder = importlib.util.find_spec(package(kind)).submodule_search_locations[0]
    defines = re.compile(rf"^(?:def|class) {attribute}\b|^{attribute}\b.* = ", re.MULTILINE)
    files = sorted(pathlib.Path(folder).glob("[a-z]*.py"))
    return tuple(file.stem for file in files if not attribute or defines.search(file.read_text()))


def word(kind: str) -> str:
    """Return what one of a kind is called."""
    return _WORDS.get(kind, kind.removesuffix("s"))


def module(kind: str, name: str, attribute: str = "") -> Any:
    """Import the module of this name. Raises UserError that lists what exists."""
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


def find(kind: str, name: str, attribute: str) -> Any:
    """Return `attribute` of the module `name` of a kind; of some kinds also the object that "package.module:Name" is.

    Raises UserError where no file of that name defines the attribute, and where the user's own is of another kind.
    """
    if ":" in name and kind in _MAY_BE_OWN:
        first = _MAY_BE_OWN[kind]
        return _own_function(name, first, word(kind)) if first else imported(name)
    return getattr(module(kind, name, attribute), attribute)


def imported(path: str) -> Any:
    """Return the object at "package.module:Name" on the import path, which ends with the current folder.

    Only `trusted` makes it safe to resolve the names in a config that was read from disk.

    Raises:
        UserError: The text has another form, or there is no such module, or no such name in it.
    """
    match = OWN.fullmatch(path)
    if not match:
        raise errors.UserError(f"{path!r} names nothing\nexpected package.module:Name")
    module_name, name = match.groups()
    # Not before the user's own code is asked for: a folder that was downloaded may hold a file named like a package.
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
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
    """Return the function `name` of the module `home`, of any file of the folder `home`, or the user's own.

    Only public functions with these first parameters are found.
    """
    if ":" in name:
        return _own_function(name, first, what)
    homes = [home]
    if hasattr(home, "__path__"):
        homes = [
            importlib.import_module(f"{home.__name__}.{file.name}") for file in pkgutil.iter_modules(home.__path__)
        ]
    named = {key: value for module in homes for key, value in _functions_of(module).items()}
    names = [key for key, value in named.items() if _begins_with(value, first)]
    if name not in names:
        raise errors.unknown(what, name, names)
    return named[name]


def _own_function(path: str, first: tuple[str, ...], what: str) -> Callable:
    """Return the user's own function. Raise UserError, without calling it, unless its first parameters are these."""
    found = imported(path)
    if not _begins_with(found, first):
        raise errors.UserError(f"{path!r} is no {what}\nexpected a function whose parameters begin: {', '.join(first)}")
    return found


def _begins_with(value: Any, first: tuple[str, ...]) -> bool:
    """Return whether `value` is a function whose first parameters have these names."""
    try:
        parameters = tuple(inspect.signature(value).parameters)
    except (TypeError, ValueError):  # it cannot be called, or is written in C and does not say
        return False
    return parameters[: len(first)] == first


def _functions_of(module: Any) -> dict[str, Callable]:
    """{name: function} of the public functions that a module defines itself."""
    mine = lambda key, value: inspect.isfunction(value) and key[0] != "_" and value.__module__ == module.__name__
    return {key: value for key, value in vars(module).items() if mine(key, value)}


def told(kind: str, function: Callable, keyword: str) -> str:
    """Return the help text of an argument: the first sentence of its entry in the `Args:` section of a docstring.

    The function's own docstring comes first, then those that it refers to as in `ae_jax.module.function`, then the
    package's. Docstrings without such a section are read as prose: a line begins with the argument's name and a colon,
    and more indented ones go on; else a clause has the name in backticks; else it is what the module begins with.

    Args:
      kind: a key of `REGISTRIES`, whose package is searched last.
      function: the function of a module of that kind.
      keyword: the name of the argument.
    """
    import docstring_parser  # here, because few commands print help texts

    own, folder = inspect.getdoc(function) or "", importlib.import_module(package(kind))
    clause = next((each for each in re.split(_CLAUSES, own) if f"`{keyword}`" in each), "")
    others = [pkgutil.resolve_name(path) for path in re.findall(r"as\s+in\s+`(ae_jax\.[\w.]+)`", clause)]
    for text in (own, *(inspect.getdoc(each) or "" for each in (*others, folder))):
        parsed = docstring_parser.parse(text, docstring_parser.DocstringStyle.GOOGLE)
        entry = next((each.description for each in parsed.params if each.arg_name == keyword), None)
        line = re.search(rf"^( *){keyword}: +(.*(?:\n\1 +.*)*)", text, re.MULTILINE)
        if entry or line:
            clause = re.split(_SENTENCES, entry or line[2])[0]
            break
    begins = re.split(_SENTENCES, importlib.import_module(function.__module__).__doc__ or "")[0]
    return " ".join((clause or begins).split()).removesuffix(".")
