"""Help texts of arguments, read from docstrings."""

import functools
import inspect
import re
from collections.abc import Callable

_SENTENCES = r"\n\n|\.\s+(?=\W*[A-Z`])"
_LINES = re.compile(r"^( *)(\w+)(?:: +| {2,})(\S.*(?:\n\1 +\S.*)*)", re.MULTILINE)


def argument_help(text: str, keyword: str) -> str:
    """Return the first sentence of an argument's entry in the section `Args:` of a docstring."""
    return first_sentence(_arguments(text)[keyword])


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


def first_sentence(text: str) -> str:
    """Return the first sentence of a text on one line, without its full stop."""
    return " ".join(re.split(_SENTENCES, text)[0].split()).removesuffix(".")
