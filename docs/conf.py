"""The configuration of Sphinx: `sphinx-build -W docs build/docs` builds the documentation, without a network."""

import configparser
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "docs")]

import ae_jax  # noqa: E402

metadata = configparser.ConfigParser()
metadata.read(ROOT / "setup.cfg")
# The public address of the repository; empty while there is none.
ADDRESS = metadata["metadata"]["url"]

project = "ae_jax"
author = metadata["metadata"]["author"]
version = release = ae_jax.__version__
extensions = ["myst_nb"]
html_theme = "furo"
html_title = "ae_jax"
myst_heading_anchors = 3
# Notebooks are committed with their outputs, and a test executes them.
nb_execution_mode = "off"


def _write_api(app) -> None:
    """Write the pages of the API, which are not committed, before Sphinx looks for pages."""
    import render

    render.write_api(pathlib.Path(app.srcdir) / "reference" / "api")


def _link_to_repository(app, page: str, source: list[str]) -> None:
    """Make links to files outside of docs/ links to the repository or, without an address, to copies of the files."""
    folder = ROOT / pathlib.PurePosixPath("docs", page).parent

    def linked(match: re.Match) -> str:
        text, target, anchor = match[1], match[2], match[3] or ""
        path = (folder / target).resolve()
        if path.is_relative_to(ROOT / "docs"):
            return match[0]
        if not ADDRESS:
            return f"{text}(path:{target})"
        return f"{text}({ADDRESS}/blob/main/{path.relative_to(ROOT)}{anchor})"

    # Pictures begin with an exclamation mark, and Sphinx copies them itself.
    source[0] = re.sub(r"(?<!\!)(\[[^\]!]+\])\((\.\./[^)#\s]+)(#[^)\s]*)?\)", linked, source[0])


def _add_guides(app, page: str, source: list[str]) -> None:
    """Add the guides that index.md does not name to its table of contents, after the guide on music."""
    if page == "index":
        named = source[0].split()
        others = sorted(path.stem for path in (ROOT / "docs").glob("*.md") if path.stem not in (*named, "index"))
        source[0] = source[0].replace("\nmusic\n", "\n".join(["\nmusic", *others]) + "\n")


def setup(app) -> None:
    """Register what Sphinx calls."""
    app.connect("builder-inited", _write_api)
    app.connect("source-read", _link_to_repository)
    app.connect("source-read", _add_guides)
