"""Render the pages of the documentation that follow from the code: `python docs/render.py` writes them.

Run it after adding a config, a key, a metric or a figure. A test of the long tier checks that the pages are up to date.
"""

import ast
import functools
import inspect
import itertools
import pathlib
import re
import subprocess
import sys
import textwrap
import types
from collections.abc import Iterator

import absl.flags

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from ae_jax.commands import help, keys, listing, reproduce, signatures, tables  # noqa: E402
from ae_jax.core import docstrings, lookup  # noqa: E402

# Papers that have no arXiv number, by the words with which docstrings cite them.
LINKS = {
    "Hinton and Salakhutdinov 2006": "https://doi.org/10.1126/science.1127647",
    "Keras example": "https://keras.io/examples/vision/autoencoder/",
    'Keras example "Variational autoencoder"': "https://keras.io/examples/generative/vae/",
    "Chollet 2016": "https://blog.keras.io/building-autoencoders-in-keras.html",
    "Vincent et al. 2008": "https://doi.org/10.1145/1390156.1390294",
    "Rifai et al. 2011": "https://icml.cc/2011/papers/455_icmlpaper.pdf",
    "Higgins et al. 2017": "https://openreview.net/forum?id=Sy2fzU9gl",
    "Sohn et al. 2015": "https://proceedings.neurips.cc/paper/2015/hash/8d55a249e6baa5c06772297520da2051-Abstract.html",
    "Ng 2011": "https://web.stanford.edu/class/cs294a/sparseAutoencoder.pdf",
}


def models() -> str:
    """Return the page of all configs: a table, then a section for each."""
    configs = [listing.config(name) for name in listing.config_names()]
    rows = ["| config | family | objective | paper | data sets |", "| --- | --- | --- | --- | --- |"]
    for config in configs:
        papers = listing.papers(" ".join(config.description), LINKS)
        cells = (
            f"[{config.name}](#{config.name})",
            config.family,
            config.objective,
            papers[0] if papers else "none",
            ", ".join(config.data),
        )
        rows.append("| " + " | ".join(cells) + " |")
    sections = [_section(config) for config in configs]
    return "\n".join([_head("All configs"), _INTRODUCTION, "", *rows, "", *sections])


_INTRODUCTION = """\
Use a config by its name: `ae-jax train --config=vae:mnist --workdir=runs/vae`. The words after the colon are
arguments: a data set of the last column, `smoke` for a tiny model, or a word of the config itself. `family` is
`model.name`, and `objective` is `objective.name`; both can be changed on the command line. `ae-jax train --help
--config=NAME` lists the keys of a config."""


def _head(title: str) -> str:
    return f"# {title}\n\n<!-- Rendered from the code by docs/render.py. -->\n"


def _section(config: listing.Config) -> str:
    """Return the section of a config: its docstring, with links and a block of commands."""
    prose = "\n\n".join(listing.citation(paragraph, LINKS) for paragraph in config.description)
    commands = "\n".join(map(_installed, config.commands))
    block = f"\n\n```bash\n{commands}\n```" if commands else ""
    return f"## {config.name}\n{prose}{block}\n"


def _installed(command: str) -> str:
    """Return a command line of a checkout as one of the installed package."""
    command = re.sub(r"python (?:\.\./)*scripts/(\w+)\.py", r"ae-jax \1", command)
    return re.sub(r"--config=configs/(\w+)\.py", r"--config=\1", command)


# {page: (title, [(kind, function, prefix of its flags)])}.
_KINDS = {
    "reference/metrics.md": ("Metrics", [("metrics", "evaluate")]),
    "reference/figures.md": ("Figures", [("figures", "arrays"), ("sweep_figures", "arrays")]),
}


def of_kinds(page: str) -> str:
    """Return a page that describes each metric or figure by its docstrings."""
    title, kinds = _KINDS[page]
    sections = [
        _described(kind, name, signatures.read(kind, name, function))
        for kind, function in kinds
        for name in lookup.choices(kind, function)
    ]
    return "\n".join([_head(title), *sections])


def _described(kind: str, name: str, signature: signatures.Signature) -> str:
    """Return the section of a metric or figure: definition, options, returns, errors."""
    text, *named = re.split(r"\n\n(?=Args:|Returns:|Raises:)", signature.text)
    parts = [listing.citation(part, LINKS) for part in (signature.file_text, text)]
    if signature.keywords:
        rows = [
            f"| `--{name}_{keyword}` | `{default!r}` | {_cell(signature.help_of(keyword))} |"
            for keyword, default in signature.keywords.items()
        ]
        parts.append("\n".join(["| flag | default | meaning |", "| --- | --- | --- |", *rows]))
    for section in named:
        word, _, content = section.partition("\n")
        if word in ("Returns:", "Raises:"):
            parts.append(f"{word} {' '.join(textwrap.dedent(content).split())}")
    if signature.better:
        better = ", ".join(f"`{score}`: {direction}" for score, direction in signature.better.items())
        parts.append(f"Better is the minimum or the maximum: {better}.")
    heading = f"{name} (of a sweep)" if kind == "sweep_figures" else name
    return f"## {heading}\n" + "\n\n".join(parts) + "\n"


def config_keys() -> str:
    """Return the page of all keys of configs: a table for each section."""
    parts = [_head("All keys of a config"), _ABOUT_KEYS, ""]
    for section, found in itertools.groupby(keys.every(), key=lambda key: key.name.partition(".")[0]):
        parts += [f"## {section}", "| key | values | default | meaning | read by |", "| --- | --- | --- | --- | --- |"]
        for key in found:
            readers = key.read_by or "every run"
            cells = (f"`{key.name}`", key.form, f"`{key.default}`", key.meaning, readers)
            parts.append("| " + " | ".join(map(_cell, cells)) + " |")
        parts.append("")
    return "\n".join(parts)


_ABOUT_KEYS = """\
Set a key on the command line with `--config.KEY=VALUE`, for example `--config.optimizer.learning_rate=3e-4`, or in
Python with `ae_jax.fit(..., settings={KEY: VALUE})`. `--config.KEY=None` removes a key. The defaults are those of the
code; a config may set others, which `ae-jax train --help --config=NAME` shows. A schedule is `linear:FROM:TO:STEPS`,
`cosine:FROM:TO:STEPS`, `cyclic:FROM:TO:PERIOD`, `sigmoid:RATE`, or one of Optax. A key such as `model.encoder_hidden`
is `model.hidden` for one part alone."""


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def commands() -> str:
    """Return the page of the command line: for each command its description, its examples and its flags."""
    sections = []
    for name in lookup.choices("commands"):
        entry, values = lookup.module("commands", name), absl.flags.FlagValues()
        entry.define_flags(values)
        sections += [f"## {name}\n{_with_blocks(inspect.cleandoc(entry.__doc__))}\n", *_flag_tables(entry, values)]
    return "\n".join([_head("Command line"), _ABOUT_COMMANDS, "", *sections]).rstrip() + "\n"


_ABOUT_COMMANDS = """\
`ae-jax COMMAND --help` prints the help of a command, and `ae-jax COMMAND --help=NAME` explains one metric, figure or
task with its options. `python -m ae_jax COMMAND` and, in a checkout, `python scripts/COMMAND.py` do the same. Exit
status: 0 done; 1 the run failed; 2 wrong usage."""


def _with_blocks(text: str) -> str:
    """Return a docstring with its indented commands as blocks of code."""
    parts = []
    for paragraph in re.split(r"\n\s*\n", text):
        if paragraph.lstrip().startswith(("ae-jax ", "python ")):
            parts.append(f"```bash\n{textwrap.dedent(paragraph).strip()}\n```")
        else:
            parts.append(paragraph)
    return "\n\n".join(parts)


def _flag_tables(entry: types.ModuleType, values: absl.flags.FlagValues) -> Iterator[str]:
    """Yield the tables of the flags of a command, one for each section of its help."""
    for title, flags in help.sections(entry, values).items():
        yield f"{title}:\n\n| flag | default | meaning |\n| --- | --- | --- |"
        for flag in flags:
            default = (flag.default_as_str or "").strip("'")
            shown = f"`{default}`" if default else ""
            yield f"| `--{flag.name}` | {_cell(shown)} | {_cell(' '.join(flag.help.split()))} |"
        yield ""


def modules() -> str:
    """Return the page that lists the public modules, with one line each."""
    parts = [_head("Python modules"), _ABOUT_MODULES, ""]
    for package, files in itertools.groupby(_module_files(), key=lambda file: file.parent):
        dotted = ".".join(package.relative_to(ROOT).parts)
        parts += [f"## {dotted}", "| module | what it does |", "| --- | --- |"]
        for file in files:
            said = docstrings.first_sentence(ast.get_docstring(ast.parse(file.read_text())) or "")
            parts.append(f"| [{file.stem}](../../{file.relative_to(ROOT)}) | {_cell(said)} |")
        parts.append("")
    return "\n".join(parts)


_ABOUT_MODULES = """\
Begin with `ae_jax.fit` and `ae_jax.load`; see [as a library](../library.md). Every public function and class has a
docstring with its arguments, shapes and errors. The built documentation shows all of them, with a page for each
package; here each module has one line."""


def _module_files() -> list[pathlib.Path]:
    files = (ROOT / "ae_jax").rglob("[a-z]*.py")
    return sorted(files, key=lambda file: (file.parent, file.name))


def write_api(folder: pathlib.Path) -> None:
    """Write a page for each package with the docstrings of its public functions and classes."""
    folder.mkdir(exist_ok=True)
    contents = "# Python API\n\n```{toctree}\n:glob:\n:maxdepth: 1\n\nae_jax*\n```\n"
    (folder / "index.md").write_text(contents)
    for package, files in itertools.groupby(_module_files(), key=lambda file: file.parent):
        dotted = ".".join(package.relative_to(ROOT).parts)
        sections = [_module(file, f"{dotted}.{file.stem}") for file in files]
        (folder / f"{dotted}.md").write_text(f"# {dotted}\n\n" + "\n".join(sections))


def _module(file: pathlib.Path, dotted: str) -> str:
    """Return the section of a module: its docstring, then its public classes and functions."""
    tree = ast.parse(file.read_text())
    parts = [f"## {dotted}", _text(ast.get_docstring(tree))]
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
            parts += [f"### {node.name}", _signature(node), _text(ast.get_docstring(node))]
            for method in node.body if isinstance(node, ast.ClassDef) else ():
                if isinstance(method, ast.FunctionDef) and not method.name.startswith("_"):
                    parts += [_signature(method), _text(ast.get_docstring(method))]
    return "\n\n".join(parts) + "\n"


def _signature(node: ast.ClassDef | ast.FunctionDef) -> str:
    """Return the head of a class or function as a block of code."""
    if isinstance(node, ast.ClassDef):
        bases = ", ".join(map(ast.unparse, node.bases))
        head = f"class {node.name}({bases})" if bases else f"class {node.name}"
    else:
        returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
        head = f"def {node.name}({ast.unparse(node.args)}){returns}"
    return f"```text\n{head}\n```"


def _text(docstring: str | None) -> str:
    # A docstring is plain text, not Markdown: brackets, bars and stars in it are mathematics.
    return f"```text\n{docstring}\n```" if docstring else ""


PAGES = {
    "models.md": models,
    "reference/keys.md": config_keys,
    "reference/commands.md": commands,
    "reference/api.md": modules,
    **{page: functools.partial(of_kinds, page) for page in _KINDS},
}


def speed() -> str:
    """Return the table of speeds."""
    command = [sys.executable, str(ROOT / "benchmarks" / "pairs.py")]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.rstrip()


def with_blocks(text: str) -> str:
    """Return the text of a page with its tables of results and of speeds rendered again."""
    text = tables.fill(text, reproduce.read())
    head, tail = "<!-- speed -->", "<!-- /speed -->"
    if head not in text:
        return text
    before, rest = text.split(head)
    return f"{before}{head}\n{speed()}\n{tail}{rest.split(tail)[1]}"


def main() -> None:
    """Write every page, and the blocks of the others."""
    for path in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        path.write_text(with_blocks(path.read_text()))
    for name, page in PAGES.items():
        path = ROOT / "docs" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(page())


if __name__ == "__main__":
    main()
