"""Render the pages of the documentation that follow from the code: `python docs/render.py` writes them.

Run it after adding a config, a key, a metric or a figure. A test of the long tier checks that the pages are up to date.
"""

import functools
import itertools
import pathlib
import re
import sys
import textwrap

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from ae_jax.commands import keys, listing, signatures  # noqa: E402
from ae_jax.core import lookup  # noqa: E402

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


PAGES = {
    "models.md": models,
    "reference/keys.md": config_keys,
    **{page: functools.partial(of_kinds, page) for page in _KINDS},
}


def main() -> None:
    """Write every page."""
    for name, page in PAGES.items():
        path = ROOT / "docs" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(page())


if __name__ == "__main__":
    main()
