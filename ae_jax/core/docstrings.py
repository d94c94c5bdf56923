"""Help texts of arguments, read from docstrings."""

import functools
import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable

from ae_jax.core import lookup

# Docstrings without an `Args:` section are still searched as free text: for a line that begins with the argument's
# name, or for a clause that has the name in backticks. Clauses end where one of these patterns matches.
_SENTENCES = r"\n\n|\.\s+(?=\W*[A-Z`])"
_CLAUSES = rf"{_SENTENCES}|[;:]\s+(?![^()]*\))|\n(?=.* {{3}})| {{3,}}"  # the last two also end the cells of a table

_LINES = re.compile(r"^( *)(\w+)(?:: +| {2,})(\S.*(?:\n\1 +\S.*)*)", re.MULTILINE)


def argument_help(kind: str, function: Callable[..., object], keyword: str) -> str:
    """Return the first sentence of the documentation of an argument.

    The function's docstring comes first, then the functions to which it refers with "as in `ae_jax.module.function`",
    then the docstring of the package. If none of them documents the argument, the help is a clause of the function's
    docstring that mentions it, or else what the module's docstring begins with.

    Args:
      kind: a key of `lookup.REGISTRIES`; its folder is the package.
      function: a function of a module of this kind.
      keyword: the name of the argument.
    """
    own = inspect.getdoc(function) or ""
    clause = next((each for each in re.split(_CLAUSES, own) if f"`{keyword}`" in each), "")
    referred = [pkgutil.resolve_name(path) for path in re.findall(r"as\s+in\s+`(ae_jax\.[\w.]+)`", clause)]
    for documented in (function, *referred, importlib.import_module(lookup.package(kind))):
        text = inspect.getdoc(documented) or ""
        if description := _arguments(text).get(keyword) or _described_in_a_line(text, keyword):
            return _first_sentence(description)
    return _first_sentence(clause or inspect.getdoc(importlib.import_module(function.__module__)) or "")


def meanings_of(documented: Callable[..., object]) -> dict[str, str]:
    """Return {argument: its meaning} as the docstring of a function or class tells it.

    A class has the meanings of its base classes too. In a docstring without an `Args:` section, a line that begins with
    "name: " or "name   ", together with the more indented lines after it, tells the meaning of an argument.
    """
    found: dict[str, str] = {}
    bases = reversed(documented.__mro__) if inspect.isclass(documented) else [documented]
    for one in bases:
        text = inspect.cleandoc(one.__doc__ or "") if one.__module__ != "builtins" else ""
        found |= {match[2]: match[3] for match in _LINES.finditer(text)}
        found |= _arguments(text)
    return {name: " ".join(meaning.split()).removesuffix(".") for name, meaning in found.items()}


@functools.cache
def _arguments(text: str) -> dict[str, str]:
    """Return {argument: description} of the `Args:` section of a docstring."""
    import docstring_parser  # here, because few commands print help texts

    parameters = docstring_parser.parse(text, docstring_parser.DocstringStyle.GOOGLE).params
    return {parameter.arg_name: parameter.description or "" for parameter in parameters}


def _described_in_a_line(text: str, keyword: str) -> str:
    """Return what follows "keyword: " in its line and in the more indented lines after it."""
    line = re.search(rf"^( *){keyword}: +(.*(?:\n\1 +.*)*)", text, re.MULTILINE)
    return line[2] if line else ""


def _first_sentence(text: str) -> str:
    return " ".join(re.split(_SENTENCES, text)[0].split()).removesuffix(".")
