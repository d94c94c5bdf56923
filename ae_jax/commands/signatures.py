"""Read functions of metrics, figures, tasks and other kinds without importing them.

Importing them would import JAX, which takes seconds. Flags, help texts, lists and the reference need only what the
files declare: docstrings, and keyword-only arguments with literal defaults.
"""

import ast
import dataclasses
import functools
import importlib.util
import inspect
import pathlib
from typing import Any

from ae_jax.core import docstrings, lookup


@dataclasses.dataclass(frozen=True)
class Signature:
    """A function of a kind.

    Attributes:
      file_text: the docstring of its file.
      text: its own docstring.
      keywords: {keyword-only argument: default}.
      better: {score: "min" or "max"} of a metric; empty for other kinds, and for a metric that borrows it.
    """

    file_text: str
    text: str
    keywords: dict[str, Any]
    better: dict[str, str]

    @property
    def summary(self) -> str:
        """Return the first sentence of the file's docstring."""
        return docstrings.first_sentence(self.file_text)

    def help_of(self, keyword: str) -> str:
        """Return the first sentence about a keyword in the section `Args:`."""
        return docstrings.argument_help(self.text, keyword)


@functools.cache
def read(kind: str, name: str, attribute: str) -> Signature:
    """Read a function of a module of a kind.

    Args:
      kind: a key of `lookup.REGISTRIES`, such as "metrics".
      name: name of a file in the folder of the kind.
      attribute: the name of the function, such as "evaluate".
    """
    tree = ast.parse(_file(kind, name).read_text())
    found = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == attribute]
    assert len(found) == 1, f"{kind} {name} defines {attribute} as one function"
    arguments = found[0].args
    pairs = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    return Signature(
        file_text=ast.get_docstring(tree) or "",
        text=inspect.cleandoc(ast.get_docstring(found[0]) or ""),
        keywords={argument.arg: ast.literal_eval(default) for argument, default in pairs if default is not None},
        better=_better(tree),
    )


def _better(tree: ast.Module) -> dict[str, str]:
    """Return the value of BETTER where it is a literal."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "BETTER":
            try:
                return ast.literal_eval(node.value)
            except ValueError:
                return {}
    return {}


def summary(kind: str, name: str) -> str:
    """Return the first sentence of the docstring of a file of a kind."""
    return docstrings.first_sentence(ast.get_docstring(ast.parse(_file(kind, name).read_text())) or "")


def _file(kind: str, name: str) -> pathlib.Path:
    spec = importlib.util.find_spec(lookup.package(kind))
    assert spec is not None and spec.submodule_search_locations is not None, "a registry is a folder of this package"
    return pathlib.Path(spec.submodule_search_locations[0]) / f"{name}.py"
