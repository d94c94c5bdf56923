"""The same losses on one, two and eight devices, whether parameters lie whole or cut; checkpoints move between them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ae_jax.core.errors import UserError
from ae_jax.devices import mesh
from ae_jax.experiments import analysis, configuration, rundir, runner


@pytest.fixture(scope="module")
def eight(tmp_path_factory):
    """(folder of runs, what the process with eight devices answered)."""
    folder, script = tmp_path_factory.mktemp("mesh"), Path(__file__).with_name("mesh_runs.py")
    root = script.parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    environment["XLA_FLAGS"] += " --xla_force_host_platform_device_count=8"
    environment["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "1"  # compiles in less time
    command = [sys.executable, "-W", "error::DeprecationWarning:ae_jax", str(script), str(folder)]
    done = subprocess.run(command, env=environment, cwd=root, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return folder, json.loads(done.stdout.splitlines()[-1])


def test_losses_do_not_depend_on_the_devices(eight):
    folder, answered = eight
    assert answered["devices"] == 8
    for pair, count in ((("one", "moved"), 6), (("pieces_one", "pieces"), 2)):
        one, moved = (rundir.read_lines(folder / run / "metrics.jsonl") for run in pair)
        assert [line.keys() for line in one] == [line.keys() for line in moved] and len(one) == count
        for expected, found in zip(one, moved):
            values = [[v for v in line.values() if not isinstance(v, str)] for line in (expected, found)]
            np.testing.assert_allclose(*values, rtol=1e-5)


@pytest.mark.parametrize("name", ["one", "moved"])
def test_a_run_of_any_mesh_is_scored_alike_on_eight_devices_and_on_this_one(eight, name):
    folder, answered = eight
    workdir = str(folder / name)
    with analysis.on_all_devices(workdir):
        trained = analysis.load(workdir)
        options = {"nll_samples": 10}
        expected = analysis.evaluate(trained.experiment, trained.variables, ["elbo", "nll"], trained.data, 0, options)
    assert len(trained.data.test.arrays["x"]) % 8  # a batch that eight devices do not divide
    resident, streamed = answered["scores"][name]
    assert resident == streamed
    np.testing.assert_allclose(resident, [expected["elbo"], expected["nll_surrogate"]], rtol=1e-6)


def test_large_parameters_are_cut_along_fsdp_alone(eight):
    shares = eight[1]["shares"]
    large = {"['encoder']['Mlp_0']['Dense_0']['kernel']", "['decoder']['Dense_0']['kernel']"}
    assert len(shares) == 10 and large <= shares.keys()
    assert all(share == (1 / 4 if name in large else 1) for name, share in shares.items())


def test_the_order_of_the_examples_is_found_without_asking_other_devices(eight):
    assert eight[1]["gathered"] == 0


def test_rows_of_data_cut_over_devices_are_the_rows(eight):
    assert eight[1]["rows"] == [True] * 3


def test_what_does_not_fit_the_devices_is_refused_and_nothing_is_written(eight, tmp_path):
    folder, answered = eight
    wrong, remedy = answered["undivided"].splitlines()
    assert "train.batch_size=40" in wrong and "7 devices" in wrong and "35 or 42" in remedy
    assert answered["larger"].startswith("mesh.data=3, mesh.fsdp=3") and "the 8 devices" in answered["larger"]
    assert not (folder / "refused").exists()
    config = configuration.load("configs/vae.py:smoke")
    config.mesh.data = 2
    with pytest.raises(UserError, match="larger than the 1 device here"):
        runner.train_run(config, str(tmp_path / "run"))
    assert list(tmp_path.iterdir()) == []


@given(st.integers(1, 64), st.integers(1, 64))
def test_minus_one_is_all_the_devices_that_are_left(other, devices):
    for place, sizes in enumerate([(-1, other), (other, -1)]):
        if devices % other:
            with pytest.raises(UserError, match=f"a divisor of {devices}|larger than"):
                mesh.shape(*sizes, devices)
        else:
            found = mesh.shape(*sizes, devices)
            assert found[1 - place] == other and found[0] * found[1] == devices


@given(st.integers(-3, 64), st.integers(-3, 64), st.integers(1, 64))
def test_a_mesh_is_what_was_asked_for_or_an_error(data, fsdp, devices):
    if min(data, fsdp) >= 1 and data * fsdp <= devices:
        assert mesh.shape(data, fsdp, devices) == (data, fsdp)
    elif min(data, fsdp) < -1 or 0 in (data, fsdp) or data == fsdp == -1 or min(data, fsdp) >= 1:
        with pytest.raises(UserError):
            mesh.shape(data, fsdp, devices)
