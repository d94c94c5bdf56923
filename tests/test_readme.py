"""The README says what is so: its code runs, its numbers are those of the results file, its files exist."""

import os
import pathlib
import re
import subprocess
import sys

import pytest

from ae_jax.commands import reproduce, tables
from ae_jax.experiments import experiment
from ae_jax.experiments.configuration import ROOT, load, override

README = (ROOT / "README.md").read_text()
PYTHON = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_the_notebook_code_runs():
    finished = subprocess.run(
        [sys.executable, "-c", PYTHON[0]], capture_output=True, text=True, env={**os.environ, "JAX_PLATFORMS": "cpu"}
    )
    assert finished.returncode == 0, finished.stderr
    loss, *shapes = finished.stdout.split(" ", 1)
    assert 20 < float(loss) < 30  # nats per digit; 44.4 = 64 log 2 is what knowing nothing costs
    assert shapes == ["(128, 2) (1, 128, 8, 8, 1)\n"]


def test_the_model_in_one_file_is_a_model(tmp_path, monkeypatch):
    source = next(block for block in PYTHON if "class Model" in block)
    (tmp_path / "my_noisy_model.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    config = load("configs/ae.py:smoke")
    override(config, "model.name", "my_noisy_model:Model")
    override(config, "model.noise", "0.5")
    assert experiment.build(config).model.noise == 0.5


def test_the_page_of_results_is_that_of_the_results_file():
    stored, page = reproduce.read(), (ROOT / "docs" / "results.md").read_text()
    assert stored.keys() <= reproduce.rows().keys()
    assert tables.fill(page, stored) == page, "render it: scripts/reproduce.py --page=docs/results.md"
    assert all(f"| {row} |" in page for row in stored)


def test_the_decoders_of_sixteen_bars_are_compared_as_they_were_run():
    table = tables.grid(reproduce.tables()["music_16bar"], reproduce.read(), markdown=True)
    command = "scripts/reproduce.py music_16bar --stored --markdown"
    assert f"<!-- music_16bar -->\n{table}\n<!-- /music_16bar -->" in README, f"render it: {command}"


def test_the_speeds_are_those_measured():
    command = [sys.executable, str(ROOT / "benchmarks" / "pairs.py")]
    table = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert f"<!-- speed -->\n{table}<!-- /speed -->" in README, "render it: benchmarks/pairs.py"


@pytest.mark.parametrize("name", sorted(reproduce.read()))
def test_results_are_of_the_config_as_it_stands(name):
    entry = reproduce.read()[name]
    assert entry["hash"] == reproduce.config_hash(load(entry["config"]))


@pytest.mark.parametrize("path", sorted(set(re.findall(r"\]\(((?!http)[^)#]+)\)", README))))
def test_linked_files_exist(path):
    assert (ROOT / pathlib.PurePosixPath(path)).is_file()
