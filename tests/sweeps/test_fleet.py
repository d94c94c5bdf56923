"""Runs on all devices of a machine: eight that the CPU pretends to be, against the first of them alone."""

import json
import os
import pathlib
import subprocess
import sys

import numpy as np

from ae_jax.sweeps import fleet


def test_states_can_be_read_before_the_first_step():
    states = [{"params": np.full(3, i, np.float32)} for i in range(2)]
    runs = fleet.SideBySide(lambda mesh: None, lambda place: {}, states, [{"kl": np.float32(1)}] * 2)
    for i, state in enumerate(states):
        np.testing.assert_array_equal(runs.state(i)["params"], state["params"])
    assert runs.stacked()["params"].shape == (2, 3)


def test_runs_go_round_the_devices_or_are_spread_over_them(tmp_path):
    script = pathlib.Path(__file__).with_name("runs_on_devices.py")
    paths = os.pathsep.join([str(script.parents[1]), str(script.parents[2]), os.environ.get("PYTHONPATH", "")])
    flags = f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count=8"
    environment = {**os.environ, "PYTHONPATH": paths, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    done = subprocess.run([sys.executable, script, tmp_path], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    where = json.loads(done.stdout.splitlines()[-1])
    assert where == {"map": [[i % 8] for i in range(10)], "vmap": [list(range(8))]}
