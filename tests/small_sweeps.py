"""Small sweeps for tests: of a tiny VAE on the digits, in this process or by the real script."""

import os
import subprocess
import sys
import time

import jax
import numpy as np

from ae_jax.experiments import configuration, experiment, rundir
from ae_jax.sweeps import axes, launch
from ae_jax.training.checkpoints import Checkpoints

STEPS = 60
OVERRIDES = {"model.hidden": "8", "train.steps": str(STEPS), "train.batch_size": "32", "train.log_every": "10"}
OVERRIDES |= {"train.eval_every": "20", "train.checkpoint_every": "30", "train.ema": "0.9", "train.max_bad_steps": "3"}


def base(**overrides):
    config = configuration.load("configs/vae.py:digits")
    for key, text in {**OVERRIDES, **overrides}.items():
        configuration.override(config, key, text)
    return config


def train_sweep(folder, *texts, way="map", **overrides):
    plan = launch.make_plan(str(folder), base(**overrides), axes.assignments(texts), way)
    return launch.run(plan)


def state_of(path, step="newest"):
    config, spec = rundir.RunDir(path).read()
    checkpoints = Checkpoints(path / "checkpoints", read_only=True)
    state = checkpoints.restore(experiment.build(config, spec).state_shapes(), step)
    checkpoints.close()
    return state


def leaves(state):
    data = lambda leaf: jax.random.key_data(leaf) if jax.numpy.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf
    return [np.asarray(data(leaf)) for leaf in jax.tree.leaves(state)]


def assert_same_run(one, other):
    """Both directories hold the same run to the byte, at all of the same steps."""
    steps = [sorted(folder.name for folder in (path / "checkpoints").iterdir()) for path in (one, other)]
    assert steps[0] == steps[1]
    for step in map(int, steps[0]):
        a, b = leaves(state_of(one, step)), leaves(state_of(other, step))
        assert len(a) > 10 and [leaf.tobytes() for leaf in a] == [leaf.tobytes() for leaf in b]
    for name in ("config.json", "metrics.jsonl"):
        assert (one / name).read_bytes() == (other / name).read_bytes()


class Sweeps:
    """Sweeps by the real script, sharing what they compile."""

    def __init__(self, folder):
        self.folder = folder
        self.environment = {**os.environ, "JAX_COMPILATION_CACHE_DIR": str(folder / "compiled")}

    def start(self, workdir, *flags, steps=450):
        command = [sys.executable, str(configuration.ROOT / "scripts" / "sweep.py"), "--config=configs/vae.py:digits"]
        command += [f"--config.{key}={text}" for key, text in {**OVERRIDES, "train.steps": steps}.items()]
        command += [f"--workdir={self.folder / workdir}", *flags]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "start_new_session": True}
        return subprocess.Popen(command, env=self.environment, **pipes)

    def finish(self, *arguments, **options):
        process = self.start(*arguments, **options)
        said = process.communicate(timeout=300)
        return process.returncode, *said

    def reach(self, process, workdir, step, programs=1):
        """Waits until so many programs under way have a checkpoint of this step or a later one."""
        deadline = time.monotonic() + 300
        while True:
            paths = self.folder.glob(f"{workdir}/programs/*/checkpoints/[0-9]*[0-9]")
            if len({path.parent for path in paths if int(path.name) >= step}) >= programs:
                return
            assert process.poll() is None and time.monotonic() < deadline, process.communicate()
            time.sleep(0.002)

    def interrupt(self, number, step, *arguments, all_processes=False):
        """Sends a signal soon after a checkpoint of this step or a later one is there."""
        process = self.start(*arguments)
        self.reach(process, arguments[0], step)
        os.killpg(process.pid, number) if all_processes else process.send_signal(number)
        return process.wait(timeout=300), process.communicate()[1]
