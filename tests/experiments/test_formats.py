"""Runs that were begun under older rules keep them: no run is evaluated on what it was trained on."""

import json

import numpy as np
import pytest

from ae_jax.core.errors import UserError
from ae_jax.core.types import FORMAT, DataSpec
from ae_jax.data.sources import digits
from ae_jax.experiments import analysis, configuration, rundir, runner
from ae_jax.sweeps import axes, directory, launch

HELD = 200
SPEC = DataSpec((8, 8, 1), classes=10, levels=17)
TRAIN = digits.load()[1]["train"]["x"]
DRAWN = np.sort(np.random.RandomState(1).permutation(len(TRAIN))[:HELD])
VALIDATION = {1: TRAIN[-HELD:], FORMAT: TRAIN[DRAWN]}
REST = {1: TRAIN[:-HELD], FORMAT: np.delete(TRAIN, DRAWN, axis=0)}


def config(steps=4):
    loaded = configuration.load("configs/vae.py:smoke")
    configuration.override(loaded, "train.steps", str(steps))
    return loaded


def without_number(path):
    """Rewrites a JSON file as it was before formats had numbers."""
    stored = json.loads(path.read_text())
    del stored["format"]
    path.write_text(json.dumps(stored))


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """{name: directory} of a new run, of one that was begun without a number, and of one like it that went on later."""
    folder = tmp_path_factory.mktemp("runs")
    for name in ("new", "old", "resumed"):
        if name != "new":
            without_number(rundir.begin(str(folder / name), config(), SPEC).config)
        if name == "resumed":
            runner.train_run(config(steps=2), str(folder / name))
            without_number(folder / name / "config.json")
        runner.train_run(config(), str(folder / name))
    return {name: folder / name for name in ("new", "old", "resumed")}


@pytest.mark.parametrize("name, number", [("new", FORMAT), ("old", 1), ("resumed", 1)])
def test_a_run_says_by_which_rules_it_reads_its_data(runs, name, number):
    assert json.loads((runs[name] / "config.json").read_text())["format"] == number
    data = analysis.load(str(runs[name]), split="validation").data
    np.testing.assert_array_equal(data.test.arrays["x"], VALIDATION[number])
    np.testing.assert_array_equal(data.train.arrays["x"], REST[number])


def test_an_old_run_goes_on_with_its_own_examples(runs):
    lines = {name: (path / "metrics.jsonl").read_text() for name, path in runs.items()}
    assert lines["old"] == lines["resumed"] != lines["new"]


@pytest.mark.parametrize("number", [1, FORMAT])
def test_a_sweep_keeps_the_rules_by_which_it_was_begun(tmp_path, number):
    base = config(steps=2)
    if number == 1:
        begun = directory.begin(str(tmp_path), base, {"seed=0": {"seed": "0"}})
        without_number(begun.plan)
    folder = launch.run(launch.make_plan(str(tmp_path), base, axes.assignments(["seed=0,1"]), "map"))
    assert folder.format == number
    for name in ("seed=0", "seed=1"):
        assert folder.run(name).format == number
        data = analysis.load(str(tmp_path / name), split="validation").data
        np.testing.assert_array_equal(data.test.arrays["x"], VALIDATION[number])


def test_a_run_of_a_newer_version_is_not_misread(tmp_path):
    run = rundir.begin(str(tmp_path), config(), SPEC, FORMAT + 1)
    with pytest.raises(UserError, match=f"format {FORMAT + 1}.*\nupdate"):
        analysis.load(str(tmp_path))
    with pytest.raises(UserError, match="update"):
        runner.train_run(config(), str(tmp_path))
    assert not run.checkpoints.exists()
