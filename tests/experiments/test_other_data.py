"""Scores, figures and tasks on the user's own data: every example of them, unless a split is asked for."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from ae_jax.commands.apply import shared
from ae_jax.core.errors import UserError
from ae_jax.core.types import DataSpec
from ae_jax.data import splits
from ae_jax.experiments import analysis, configuration, eval_data, runner

N = 212
RNG = np.random.default_rng(0)
X = RNG.random((N, 4, 4, 1), np.float32)
TEST = np.sort(np.random.RandomState(0).permutation(N)[:21])  # the tenth that the source of files holds out


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder of such examples as a file, with and without a test split of its own, and a run on others."""
    folder = tmp_path_factory.mktemp("other")
    np.save(folder / "x.npy", X)
    np.savez(folder / "own.npz", x=X[:200], x_test=X[200:])
    np.save(folder / "trained.npy", RNG.random((100, 4, 4, 1), np.float32))
    config = configuration.load("configs/vae.py:smoke")
    config.data.update(source="files", path=str(folder / "trained.npy"), validation=10)
    runner.train_run(config, str(folder / "run"), say=lambda *_, **__: None)
    return folder


def load(folder, data="", **options):
    return analysis.load(str(folder / "run"), data=data and f"files:{folder / data}", **options)


def test_evaluate_scores_every_example_and_says_how_many(folder):
    command = [sys.executable, str(configuration.ROOT / "scripts" / "evaluate.py"), f"--workdir={folder / 'run'}"]
    command += ["--metrics=elbo,mse", f"--data=files:{folder / 'x.npy'}"]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ, timeout=300)
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert (record["examples"], record["split"]) == (N, "all")
    assert (folder / "run" / "evaluations.jsonl").read_text().splitlines()[-1] == done.stdout.strip()


@pytest.mark.parametrize(
    "data, split, count, name",
    [
        ("x.npy", None, N, "all"),
        ("x.npy", "test", 21, "test"),
        ("x.npy", "train", N - 21, "train"),
        ("own.npz", None, N, "all"),
        ("own.npz", "test", 12, "test"),
        ("", None, 10, "test"),
        ("", "validation", 10, "validation"),
        ("", "train", 80, "train"),
    ],
)
def test_every_record_says_what_was_scored(folder, data, split, count, name):
    record = analysis.evaluate_run(load(folder, data, split=split), ["mse"], {})
    assert (record["examples"], record["split"]) == (count, name)
    assert analysis.evaluate_run(load(folder, data, split=split, limit=7), ["mse"], {})["examples"] == 7


def test_a_metric_that_reads_no_example_scored_none(folder):
    assert analysis.evaluate_run(load(folder), ["training"], {})["examples"] == 0


@pytest.mark.parametrize("data", ["x.npy", "own.npz"])
def test_all_examples_are_in_the_order_of_the_file(folder, data):
    np.testing.assert_array_equal(load(folder, data).data.test.arrays["x"], X)
    np.testing.assert_array_equal(load(folder, "x.npy", split="test").data.test.arrays["x"], X[TEST])


def test_plot_and_apply_read_them_all_too(folder, tmp_path):
    trained = load(folder, "x.npy")
    analysis.draw(trained, ["scatter"], {}, "png")
    assert len(np.load(folder / "run" / "figures" / "scatter.npz")["points"]) == N
    shared.apply(trained, "encode", "", str(tmp_path / "out"), {})
    assert len(np.load(tmp_path / "out" / "all.npz")["code"]) == N


def test_a_named_set_is_tested_and_joined_where_that_is_asked_for():
    config = configuration.load("configs/vae.py:smoke")
    spec = DataSpec((8, 8, 1), levels=17)
    assert [eval_data.split_of(None, name) for name in ("", "digits", "idx:folder")] == ["test", "test", "all"]
    found = splits.other(config, spec, "digits")
    joined = splits.other(config, spec, "digits", whole=True)
    for key, values in joined["all"].items():
        np.testing.assert_array_equal(values, np.concatenate([found["train"][key], found["test"][key]]))


def test_the_run_has_no_split_of_that_name(folder):
    with pytest.raises(UserError, match="no split 'all'.*\n.*train, test, validation"):
        analysis.evaluate_run(load(folder, split="all"), ["mse"], {})
