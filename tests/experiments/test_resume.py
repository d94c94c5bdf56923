"""Stopping a run at any moment and going on ends in the same bytes."""

import math
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ae_jax.experiments import analysis, configuration, experiment, rundir
from ae_jax.training.checkpoints import Checkpoints

STEPS = 600
FLAGS = dict(steps=STEPS, ema=0.99, checkpoint_every=50, log_every=25, eval_every=100, batch_size=64)
COMMAND = [sys.executable, str(configuration.ROOT / "scripts" / "train.py"), "--config=configs/vae.py:digits"]
COMMAND += ["--config.model.hidden=32", "--config.weights.kl=linear:0:1:300"]
COMMAND += [f"--config.train.{key}={value}" for key, value in FLAGS.items()]


class Runs:
    """Runs of the same command, sharing what they compile."""

    def __init__(self, folder):
        self.folder = folder
        self.environment = {**os.environ, "JAX_COMPILATION_CACHE_DIR": str(folder / "compiled")}

    def start(self, name):
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen([*COMMAND, f"--workdir={self.folder / name}"], env=self.environment, **pipes)

    def finish(self, name):
        """What a run that reaches its end says: (standard output, standard error)."""
        process = self.start(name)
        said = process.communicate(timeout=300)
        assert process.returncode == 0, said
        return said

    def interrupt(self, name, signal_number, step):
        """Sends a signal soon after `step` was logged; answers (exit status, standard error, last step logged)."""
        process, metrics = self.start(name), self.folder / name / "metrics.jsonl"
        logged = lambda: rundir.read_lines(metrics)[-1:] or [{"step": 0}]
        deadline = time.monotonic() + 300
        while logged()[0]["step"] < step:
            assert process.poll() is None and time.monotonic() < deadline, process.communicate()
            time.sleep(0.001)
        process.send_signal(signal_number)
        _, said = process.communicate(timeout=300)
        return process.returncode, said, logged()[0]["step"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return Runs(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def whole(runs):
    """The run that nothing stops."""
    runs.finish("whole")
    return runs.folder / "whole"


def state_of(path):
    config, spec = rundir.RunDir(path).read()
    checkpoints = Checkpoints(path / "checkpoints", read_only=True)
    state = checkpoints.restore(experiment.build(config, spec).state_shapes())
    checkpoints.close()
    return state


def assert_same_end(one, other):
    a, b = state_of(one), state_of(other)
    assert a.step == b.step == STEPS
    for part in ("params", "ema", "opt_state", "key", "bad_steps"):
        leaves = [jax.tree.leaves(jax.tree.map(as_bytes, getattr(state, part))) for state in (a, b)]
        assert len(leaves[0]) > 0 and leaves[0] == leaves[1], part
    assert (one / "metrics.jsonl").read_bytes() == (other / "metrics.jsonl").read_bytes()


def as_bytes(leaf):
    is_key = jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    return np.asarray(jax.random.key_data(leaf) if is_key else leaf).tobytes()


def test_killed_at_random_moments_it_ends_in_the_same_bytes(runs, whole):
    seed = time.time_ns()
    moments = random.Random(seed)
    last = 0
    for start in (0, 180, 360):
        step = max(last, start) + moments.randrange(0, 170)
        status, _, last = runs.interrupt("killed", signal.SIGKILL, step)
        print(f"seed {seed}: killed after step {last} was logged")
        assert status == -signal.SIGKILL
        assert last < STEPS
    said, _ = runs.finish("killed")
    assert "going on from step" in said
    assert_same_end(runs.folder / "killed", whole)


def test_sigterm_saves_and_says_so(runs, whole):
    status, said, last = runs.interrupt("stopped", signal.SIGTERM, 130)
    assert status == 1
    assert said.splitlines()[-2:] == [
        f"stopped at step {last} of {STEPS}, saved in {runs.folder / 'stopped'}",
        "the same command goes on from there",
    ]
    assert "Traceback" not in said
    assert int(state_of(runs.folder / "stopped").step) == last
    said, _ = runs.finish("stopped")
    assert f"going on from step {last} of {STEPS}" in said
    assert_same_end(runs.folder / "stopped", whole)


def test_a_damaged_newest_checkpoint_is_set_aside_and_trained_again(runs, whole):
    shutil.copytree(whole, runs.folder / "damaged")
    newest = runs.folder / "damaged" / "checkpoints" / f"{STEPS:09d}"
    for file in newest.rglob("d/*"):
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    said, warned = runs.finish("damaged")
    assert f"going on from step {STEPS - 50}" in said
    assert len(warned.splitlines()) == 1 and str(newest) in warned and "damaged" in warned
    assert (newest.parent / "damaged" / newest.name).is_dir()
    assert_same_end(runs.folder / "damaged", whole)


def test_a_moved_run_still_answers(runs, whole):
    shutil.copytree(whole, runs.folder / "elsewhere" / "run")
    newest, best = (
        analysis.load(str(runs.folder / "elsewhere" / "run"), checkpoint=which) for which in ("newest", "best")
    )
    assert (newest.context["step"], newest.context["params"]) == (STEPS, "ema")
    lines = [line for line in newest.data.metrics if line["split"] == "validation"]
    assert best.context["step"] == max(lines, key=lambda line: line["elbo"])["step"]
    # The same evaluation as the one during training, from the directory alone.
    moved = analysis.load(str(runs.folder / "elsewhere" / "run"), split="validation")
    scores = analysis.evaluate(moved.experiment, moved.variables, ["elbo"], moved.data)
    assert math.isclose(scores["elbo"], lines[-1]["elbo"], rel_tol=1e-5)
