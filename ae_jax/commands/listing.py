"""List models, configs, metrics, figures and other names, each with one line.

The lines are read from the files without importing JAX.
"""

import ast
import dataclasses
import inspect
import pathlib
import re
from collections.abc import Mapping

from ae_jax.commands import signatures
from ae_jax.core import docstrings, lookup
from ae_jax.core.errors import UserError
from ae_jax.experiments import configuration

# The words for data sets that configs take, in the order in which they are listed.
_DATASETS = ("digits", "mnist", "fashion_mnist", "generated", "cifar10", "celeb_a", "melodies_2bar", "scales_2bar")

# {word of `ae-jax list`: kind of the registry}. The words that are not here have no folder of one name per file.
_KINDS = {
    "models": "models",
    "metrics": "metrics",
    "figures": "figures",
    "likelihoods": "likelihoods",
    "posteriors": "posteriors",
    "priors": "priors",
    "quantizers": "quantizers",
    "samplers": "samplers",
    "tasks": "tasks",
    "data": "sources",
}


def names(what: str) -> dict[str, str]:
    """Return {name: one line about it}.

    Args:
      what: "configs", "objectives", "corruptions", or a key of `_KINDS`.
    """
    if what == "configs":
        return {name: summary_of_config(name) for name in config_names()}
    if what == "objectives":
        return objectives()
    if what == "corruptions":
        return corruptions()
    found = {name: signatures.summary(_KINDS[what], name) for name in lookup.choices(_KINDS[what])}
    if what == "figures":
        found |= {
            f"{name} (of a sweep)": signatures.summary("sweep_figures", name)
            for name in lookup.choices("sweep_figures")
        }
    return found


def objectives() -> dict[str, str]:
    """Return {objective: one line about it}."""
    return {
        name: line for path in _files("objectives") for name, line in _functions(path, ("outputs", "batch")).items()
    }


def corruptions() -> dict[str, str]:
    """Return {corruption: one line about it}."""
    (path,) = (path for path in _files("data") if path.stem == "corruptions")
    return _functions(path, ("key", "x"))


def _files(package: str) -> list[pathlib.Path]:
    return sorted((configuration.PACKAGE / package).glob("[a-z]*.py"))


def _functions(file: pathlib.Path, first: tuple[str, ...]) -> dict[str, str]:
    """Return {public function: first sentence of its docstring}.

    Only functions whose first parameters have these names are returned.
    """
    found = {}
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            if tuple(argument.arg for argument in node.args.args[: len(first)]) == first:
                found[node.name] = docstrings.first_sentence(ast.get_docstring(node) or "")
    return found


@dataclasses.dataclass(frozen=True)
class Config:
    """A config of the package.

    Attributes:
      name: the name of its file.
      summary: the first sentence of its docstring.
      description: the paragraphs of its docstring without the commands.
      commands: the command lines of its docstring.
      family: model.name.
      objective: objective.name.
      data: data.name, then the data sets that it takes as an argument.
    """

    name: str
    summary: str
    description: tuple[str, ...]
    commands: tuple[str, ...]
    family: str
    objective: str
    data: tuple[str, ...]


def config_names() -> list[str]:
    """Return the names of all configs, without the module that they share."""
    return [name for name in configuration.config_names() if name != "common"]


def summary_of_config(name: str) -> str:
    """Return the first sentence of a config's docstring."""
    return docstrings.first_sentence(_paragraphs(name)[0])


def config(name: str) -> Config:
    """Describe a config of the package. Raise UserError if there is none of that name."""
    loaded = configuration.load(name)
    prose = [text for text in _paragraphs(name) if not _is_command(text)]
    commands = [text for text in _paragraphs(name) if _is_command(text)]
    return Config(
        name=name,
        summary=prose[0],
        description=tuple(prose),
        commands=tuple(line for text in commands for line in text.splitlines()),
        family=loaded.model.name,
        objective=loaded.objective.name,
        data=_datasets(name, loaded.data.name),
    )


def _paragraphs(name: str) -> list[str]:
    """Return the paragraphs of a config's docstring; indentation is kept."""
    file = configuration.CONFIGS / f"{name}.py"
    if not file.is_file():
        # The loader words the error, with the nearest name.
        configuration.load(name)
    text = inspect.cleandoc(ast.get_docstring(ast.parse(file.read_text()), clean=False) or "")
    return [inspect.cleandoc("\n" + part) for part in re.split(r"\n\s*\n", text)]


def _is_command(text: str) -> bool:
    return text.startswith(("python ", "cd "))


def _datasets(name: str, default: str) -> tuple[str, ...]:
    """Return the data set of a config, then the others that it takes as an argument."""
    found = [default]
    for word in _DATASETS:
        try:
            found.append(configuration.load(f"{name}:{word}").data.name)
        except UserError:
            continue
    return tuple(dict.fromkeys(found))


def citation(text: str, links: Mapping[str, str]) -> str:
    """Return a text in which the papers are Markdown links.

    Args:
      text: a paragraph that may cite papers.
      links: {citation as it stands in the text: address}; arXiv numbers need no entry.
    """
    text = re.sub(r"arXiv:(\d{4}\.\d{4,5})", r"[arXiv:\1](https://arxiv.org/abs/\1)", text)
    cited = "|".join(re.escape(words) for words in sorted(links, key=len, reverse=True))
    return re.sub(cited, lambda match: f"[{match[0]}]({links[match[0]]})", text) if links else text


def papers(text: str, links: Mapping[str, str]) -> list[str]:
    """Return the papers that a text cites, as Markdown links in the order of the text."""
    linked = citation(text, links)
    return list(dict.fromkeys(re.findall(r"\[[^\]]+\]\(https?://[^)]+\)", linked)))
