"""The README and the pages in docs/ say what is so: code runs, commands parse, numbers and links are right."""

import functools
import importlib.util
import os
import re
import shlex
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from absl import flags

from ae_jax.commands import cli, listing, reproduce, verdicts
from ae_jax.core import lookup
from ae_jax.experiments import configuration, experiment
from ae_jax.experiments.configuration import ROOT, load, override

# The pages of the API are not committed; they exist where Sphinx has built the documentation.
FILES = [path for path in sorted((ROOT / "docs").rglob("*.md")) if path.parent.name != "api"]
PAGES = {
    str(path.relative_to(ROOT)): path.read_text() for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *FILES]
}
README = PAGES["README.md"]


def python(page: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", PAGES[page], re.DOTALL)


# --- Python -----------------------------------------------------------------------------------------------------------


def test_the_functional_pieces_train():
    code, environment = python("docs/library.md")[2], {**os.environ, "JAX_PLATFORMS": "cpu"}
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert finished.returncode == 0, finished.stderr
    loss, *shapes = finished.stdout.split(" ", 1)
    assert 20 < float(loss) < 30  # nats per digit; 44.4 = 64 log 2 is what knowing nothing costs
    assert shapes == ["(128, 2) (1, 128, 8, 8, 1)\n"]


def test_the_quick_start_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    exec(python("README.md")[0].replace("steps=2000", "steps=20"), names)
    assert names["z_mean"].shape == names["z_log_sigma"].shape == (1797, 2)
    assert names["reconstruction"].shape == (1797, 8, 8, 1)
    assert (tmp_path / "scatter.png").is_file()


def test_the_library_page_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    exec(python("docs/library.md")[0].replace("steps=2000", "steps=20"), names)
    z = names["z"]
    assert names["images"].shape == (1797, 8, 8, 1) and len(names["between"]) == 10 and len(names["new"]) == 16
    assert {"elbo", "mse_per_pixel"} <= names["scores"].keys()
    exec(python("docs/library.md")[1], names)
    assert np.array_equal(names["z"], z)


def test_the_model_in_one_file_is_a_model(tmp_path, monkeypatch):
    model, config_file = python("docs/own-model.md")
    (tmp_path / "my_module.py").write_text(model)
    (tmp_path / "mine.py").write_text(config_file)
    monkeypatch.syspath_prepend(tmp_path)
    config = load(f"{tmp_path}/mine.py:smoke")
    override(config, "model.noise", "0.5")
    assert experiment.build(config).model.noise == 0.5


# --- tables -----------------------------------------------------------------------------------------------------------


@functools.cache
def render() -> types.ModuleType:
    spec = importlib.util.spec_from_file_location("render", ROOT / "docs" / "render.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_of_results_has_a_line_for_each_row():
    stored, page = reproduce.read(), PAGES["docs/results.md"]
    assert all(f"| {row} |" in page for row in stored)


@pytest.mark.parametrize("page", [page for page, text in PAGES.items() if re.search(r"<!-- /(?!results)", text)])
def test_tables_are_those_of_the_stored_results(page):
    assert render().with_blocks(PAGES[page]) == PAGES[page], "render it: python docs/render.py"


def test_every_stored_result_has_a_row():
    assert reproduce.read().keys() <= reproduce.rows().keys()


def cells(section: str) -> list[list[str]]:
    """Return the cells of the first table of a section of the README, without its head."""
    text = README.split(f"## {section}\n")[1].split("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


@pytest.mark.parametrize("row", cells("Results"), ids=lambda row: row[0].strip("`"))
def test_headline_results_are_published_and_obtained(row):
    name, metric, published, obtained, _ = (cell.strip("`") for cell in row)
    assert obtained == f"{verdicts.of_seeds(name, metric, reproduce.read())[0]:.4g}"
    expected = load(reproduce.rows()[name].config).expected[metric]
    assert float(published) == pytest.approx(expected.get("paper", expected.get("value")), rel=5e-4)


@pytest.mark.parametrize("name", sorted(reproduce.read()))
def test_results_are_of_the_config_as_it_stands(name):
    entry = reproduce.read()[name]
    assert entry["hash"] == reproduce.config_hash(load(entry["config"]))


def kind_of_data(name: str) -> str:
    return {"codes": "latents", "melodies": "melodies"}.get(name.partition("_")[0], "images")


@pytest.mark.parametrize("row", cells("Models"), ids=lambda row: row[1])
def test_the_table_of_models_agrees_with_the_configs(row):
    family, named, paper, objective, data = row
    names = re.findall(r"\[(\w+)\]\(", named) + re.findall(r"`(\w+)`", named)
    for name in names:
        config = listing.config(name)
        facts = (config.family, config.objective, kind_of_data(config.data[0]))
        assert facts == (family, objective, data), name
    # A number of arXiv stands in the docstring of the config; other papers are links.
    if number := re.search(r"arxiv.org/abs/([\d.]+)", paper):
        assert f"arXiv:{number[1]}" in " ".join(listing.config(names[0]).description)


def test_the_readme_is_short():
    assert len(README.splitlines()) <= 150
    assert max(map(len, README.splitlines())) <= 120
    prose = re.sub(r"```.*?```", "", README, flags=re.S)
    prose = "\n".join(line for line in prose.splitlines() if not line.startswith("|"))
    assert len(prose.split()) <= 1400


@pytest.mark.parametrize("kind", ["configs", "metrics"])
def test_every_name_is_documented(kind):
    """Any page may document a name: it stands there as `NAME` or as a heading."""
    names = listing.config_names() if kind == "configs" else lookup.choices(kind)
    text = "\n".join(PAGES.values())
    spans = re.findall(r"`([^`\n]+)`", text) + re.findall(r"^#+ (.+)$", text, re.M)
    assert set(names) - {word for span in spans for word in re.findall(r"\w+", span)} == set()


# --- commands ---------------------------------------------------------------------------------------------------------


def commands() -> list[tuple[str, str]]:
    """Return (page, command line) of each call of ae-jax in a block of shell commands."""
    found = []
    for page, text in PAGES.items():
        for block in re.findall(r"```bash\n(.*?)```", text, re.S):
            for line in block.replace("\\\n", " ").splitlines():
                words = line.split("#")[0].strip()
                words = re.sub(r"^python scripts/(\w+)\.py", r"ae-jax \1", words)
                if words.startswith("ae-jax ") and "..." not in words:
                    found.append((page, words))
    return found


@functools.cache
def defined(command: str) -> list[str]:
    """Return the names of the flags of a command."""
    values = flags.FlagValues()
    lookup.module("commands", command).define_flags(values)
    return sorted(values)


@pytest.mark.parametrize("page", sorted({page for page, _ in commands()}))
def test_commands_name_flags_configs_and_keys_that_exist(page):
    for written, line in commands():
        if written != page:
            continue
        command, *words = shlex.split(line)[1:]
        assert command in lookup.choices("commands"), line
        given = {word[2:].partition("=")[0]: word.partition("=")[2] for word in words if word.startswith("--")}
        keys = {name.removeprefix("config."): text for name, text in given.items() if name.startswith("config.")}
        unknown = {name for name in given if not name.startswith("config.")} - set(defined(command)) - {"help"}
        assert not unknown, line
        if "config" in given:
            config = load(given["config"])
            configuration.override_all(config, keys.items())
        for kind in ("metrics", "figures"):
            names = given.get(kind, "").split(",") if given.get(kind) else []
            there = {*lookup.choices(kind), *(lookup.choices("sweep_figures") if kind == "figures" else ())}
            assert set(names) <= there, line


def test_commands_are_parsed_as_the_command_line_parses_them():
    # The test above reads flags itself, for speed; here is one line for each command through the real parser.
    seen = set()
    for _, line in commands():
        command, *words = shlex.split(line)[1:]
        if command in seen or any(word.startswith("--help") for word in words):
            continue
        seen.add(command)
        values, entry = flags.FlagValues(), lookup.module("commands", command)
        entry.define_flags(values)
        cli.parse(words, values, takes_arguments=getattr(entry, "TAKES_ARGUMENTS", False))
    assert {"train", "evaluate", "plot", "apply", "sweep"} <= seen


# --- links ------------------------------------------------------------------------------------------------------------


def anchors(text: str) -> set[str]:
    """Return the anchors of the headings of a page, as GitHub and MyST make them."""
    prose = re.sub(r"```.*?```", "", text, flags=re.S)
    titles = re.findall(r"^#+ (.+)$", prose, re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


# The list of modules follows from the code, and may be older than it; Sphinx checks its links in the long tier.
@pytest.mark.parametrize("page", sorted(set(PAGES) - {"docs/reference/api.md"}))
def test_links_lead_to_files_and_headings(page):
    text = re.sub(r"```.*?```", "", PAGES[page], flags=re.S)
    targets = re.findall(r"\]\(((?!http)[^)\s]+)\)", text) + re.findall(r"^\[[^\]]+\]: ((?!http)\S+)$", text, re.M)
    for target in targets:
        name, _, anchor = target.partition("#")
        path = (ROOT / page).parent / name if name else ROOT / page
        assert path.is_file(), target
        if anchor:
            assert anchor in anchors(Path(path).read_text()), target
