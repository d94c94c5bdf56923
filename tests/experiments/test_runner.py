"""Runs as they are begun: from another run's parameters, and on series of numbers."""

import jax
import numpy as np
import pytest

from ae_jax.core.errors import UserError
from ae_jax.experiments import analysis, configuration, experiment, runner, versions


def trained(config, workdir):
    return runner.train_run(config, str(workdir), say=lambda *_, **__: None)


def test_a_run_begins_with_the_parameters_of_another(tmp_path):
    """Those of its average, where it kept one; the optimiser and the seed are its own."""
    config = configuration.load("configs/vae.py:smoke")
    config.train.ema = 0.5
    trained(config, tmp_path / "parent")
    average, raw = (
        jax.device_get(analysis.load(str(tmp_path / "parent"), params=params).variables["params"])
        for params in ("ema", "raw")
    )
    config.seed, config.train.init_from = 1, str(tmp_path / "parent")
    state = jax.device_get(runner.first_state(experiment.build(config)))
    for params in (state.params, state.ema):
        jax.tree.map(np.testing.assert_array_equal, params, average)
    assert any(jax.tree.leaves(jax.tree.map(lambda a, b: (a != b).any(), state.params, raw)))
    assert state.step == 0 and not any(np.any(leaf) for leaf in jax.tree.leaves(state.opt_state))

    config.model.latent_dim = 3
    with pytest.raises(UserError, match="another network"):
        trained(config, tmp_path / "child")
    assert not (tmp_path / "child").exists()


def test_an_ended_runs_command_called_again_leaves_what_is_told_of_its_training(tmp_path, monkeypatch):
    config = configuration.load("configs/vae.py:smoke")
    trained(config, tmp_path)
    before = (tmp_path / "versions.json").read_text()
    monkeypatch.setattr(versions, "of_process", lambda: {"flags": ["another"]})
    trained(config, tmp_path)
    assert (tmp_path / "versions.json").read_text() == before


def test_lstms_read_series_from_a_file(tmp_path):
    """A value is a step of time: no parameter is of the length of the series."""
    x = np.cumsum(np.random.default_rng(0).normal(size=(40, 12)), axis=1)
    np.save(tmp_path / "series.npy", x)
    config = configuration.load("configs/lstm_ae.py:smoke")
    path = str(tmp_path / "series.npy")
    changes = [("data.source", "files"), ("data.path", path), ("model.likelihood", "gaussian")]
    configuration.override_all(config, changes)
    assert np.isfinite(trained(config, tmp_path / "run").metrics["mse_per_pixel"])
    run = analysis.load(str(tmp_path / "run"))
    assert run.experiment.spec.shape == (12,) and run.experiment.spec.kind == "reals"
    batch = next(iter(run.data.test))
    outputs = run.experiment.model.apply(run.variables, batch, rngs={"latent": jax.random.key(0)})
    assert outputs.likelihood.mean.shape == (1, 4, 12)
    assert not any(12 in leaf.shape for leaf in jax.tree.leaves(run.variables))
