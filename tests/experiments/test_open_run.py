"""A source, an objective or a part that declares `open_run` is given the function that opens another run."""

import json
import shutil
import sys

import jax
import numpy as np
import pytest

from ae_jax.core.errors import UserError
from ae_jax.experiments import configuration, experiment, runner

KEY = jax.random.key(0)
TOYS = '''
from typing import Any

import flax.linen as nn
import jax.numpy as jnp


def load(path="", *, open_run):
    """Serve the examples of another run."""
    run = open_run(path)
    return run.spec, {**run.splits, "validation": run.splits["test"]}


def distil(outputs, batch, *, teacher: str = "", open_run, key):
    """Return the squared distance from another run's code."""
    run = open_run(teacher)
    code = run.model.apply(run.variables, batch, rngs={"latent": key}).code
    return {"distance": jnp.square(outputs.code - code).sum(axis=1)}


class Encoder(nn.Module):
    """Reads x through another run's model."""

    teacher: str = ""
    open_run: Any = None

    def __call__(self, x):
        run = self.open_run(self.teacher)
        return run.model.apply(run.variables, {"x": x, "inputs": x}, rngs={"latent": self.make_rng("latent")}).code
'''


@pytest.fixture(scope="module")
def parent(tmp_path_factory):
    """The directory of a run of a small VAE."""
    workdir = tmp_path_factory.mktemp("runs") / "parent"
    runner.train_run(configuration.load("configs/vae.py:smoke"), str(workdir), say=lambda *_, **__: None)
    return str(workdir)


@pytest.fixture
def toys(tmp_path, monkeypatch):
    (tmp_path / "toys.py").write_text(TOYS)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    sys.modules.pop("toys", None)


def config_of(**changes):
    config = configuration.load("configs/vae.py:smoke")
    with config.unlocked():
        for section, values in changes.items():
            config[section].update(values)
    return config


def opened(parent):
    return experiment.build(config_of()).open_run(parent)


def test_a_source_serves_the_splits_of_another_run_and_its_validation_split(parent, toys):
    built = experiment.build(config_of(data={"source": "toys:load", "path": parent, "validation": 5}))
    run = opened(parent)
    assert built.spec == run.spec
    np.testing.assert_array_equal(built.splits["train"]["x"], run.splits["train"]["x"])
    np.testing.assert_array_equal(built.splits["validation"]["x"], run.splits["test"]["x"])


def test_an_objective_reads_another_run_in_training(parent, toys):
    config = config_of(objective={"name": "toys:distil", "teacher": parent})
    with config.unlocked():
        config.weights = {"distance": 1.0}
    built = experiment.build(config)
    state, batch = built.init(KEY), built.example(8)
    _, metrics = jax.jit(built.step)(state, batch, built.hparams)
    run = opened(parent)
    ours = built.model.apply({"params": state.params}, batch, rngs={"latent": KEY}).code
    theirs = run.model.apply(run.variables, batch, rngs={"latent": KEY}).code
    assert metrics["distance"] == pytest.approx(np.square(ours - theirs).sum(axis=1).mean(), rel=1e-5)


def test_a_part_reads_another_run_and_its_model_is_hashable(parent, toys):
    built = experiment.build(config_of(model={"encoder": "toys:Encoder", "teacher": parent}))
    hash(built.model)  # it is a key of the programs that evaluation has compiled
    batch, run = dict.fromkeys(("x", "inputs"), np.ones((3, 8, 8, 1), np.float32)), opened(parent)
    features = jax.jit(lambda batch: built.model.apply({}, batch, method="features", rngs={"latent": KEY}))(batch)
    code = run.model.apply(run.variables, batch, rngs={"latent": KEY}).code
    np.testing.assert_allclose(features, code, rtol=1e-5)


@pytest.mark.parametrize("section, key", [("objective", "open_run"), ("objective", "key"), ("model", "open_run")])
def test_what_is_given_is_no_key_of_a_config(toys, section, key):
    changes = {"objective": {"name": "toys:distil"}, "model": {"encoder": "toys:Encoder"}}
    changes[section][key] = 1
    with pytest.raises(UserError, match=key):
        experiment.build(config_of(**changes))


def test_a_run_that_is_opened_is_trusted_as_the_caller_trusts(parent, toys):
    strange = toys / "strange"
    shutil.copytree(parent, strange)
    stored = json.loads((strange / "config.json").read_text())
    stored["config"]["objective"]["name"] = "nobody:objective"
    (strange / "config.json").write_text(json.dumps(stored))
    config = config_of(data={"source": "toys:load", "path": str(strange)})
    with pytest.raises(UserError, match="--trust=nobody"):
        experiment.build(config)
    with pytest.raises(UserError, match="no module 'nobody'"):
        experiment.build(config, trust=("nobody",))
