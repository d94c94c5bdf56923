"""What a process with eight devices answers `test_mesh`, as JSON on its last line; the runs stand in the folder named.

Started by the test, as the number of devices of a process is fixed once JAX has begun.
"""

import json
import pathlib
import sys

import jax
import numpy as np

from ae_jax.core.errors import UserError
from ae_jax.devices import mesh
from ae_jax.experiments import analysis, configuration, experiment, runner
from ae_jax.training import loop
from ae_jax.training.checkpoints import Checkpoints

jax.config.update("jax_numpy_rank_promotion", "raise")
FOLDER = pathlib.Path(sys.argv[1])


def config(**sizes):
    made = configuration.load("configs/vae.py:smoke")
    with made.unlocked():
        made.model.hidden = (80,)  # 5,120 numbers in the larger kernels, the others are left whole
        made.train.update(batch_size=40, log_every=2, eval_every=0, checkpoint_every=4, ema=0.9)
        made.mesh.update(sizes)
    return made


def train(name, steps, stream=None, pieces=None, **sizes):
    made = config(**sizes)
    made.data.stream = stream
    made.train.update(steps=steps, accumulate=pieces)
    runner.train_run(made, str(FOLDER / name), say=lambda *_, **__: None)


def refusal(function):
    try:
        return function()
    except UserError as error:
        return str(error)


def rows_agree(count):
    """Whether rows taken from the devices are those of the array, whatever does not divide what."""
    array, index = (np.arange(3 * count, dtype=np.uint8).reshape(count, 3), np.arange(0, count, 3)[::-1])
    with mesh.over():
        placed = mesh.put_examples(array)
        return bool((np.asarray(jax.jit(mesh.take_examples)(placed, index)) == array[index]).all())


def shares(name, **sizes):
    """{parameter: its size on a device / its size} of a run opened on this mesh."""
    made = config(**sizes)
    with mesh.over(**made.mesh):
        shapes = experiment.build(made).state_shapes()
        state = Checkpoints(FOLDER / name / "checkpoints", read_only=True).restore(shapes)
    leaves = jax.tree_util.tree_leaves_with_path(state.params)
    return {jax.tree_util.keystr(path): leaf.addressable_shards[0].data.size / leaf.size for path, leaf in leaves}


def gathered(**sizes):
    """How many arrays a step puts together from parts of the devices, where parameters lie whole."""
    made = config(**sizes)
    with mesh.over(**made.mesh):
        built = experiment.build(made)
        batches = built.batches("train").on_device()
        arguments = built.state_shapes(), batches.arrays, built.hparams, jax.numpy.int32(1)
        compiled = loop.compiled_run(built.step, batches).lower(*arguments).compile()
    return compiled.as_text().count("all-gather(")


def score(name, stream=None):
    """A run's scores as evaluate.py gets them, over all devices."""
    workdir = str(FOLDER / name)
    with analysis.on_all_devices(workdir):
        trained = analysis.load(workdir)
        trained.experiment.config.data.stream = stream
        options = {"nll_samples": 10}
        scores = analysis.evaluate(trained.experiment, trained.variables, ["elbo", "nll"], trained.data, 0, options)
        return [scores["elbo"], scores["nll_surrogate"]]


if __name__ == "__main__":
    train("one", 12, data=1)
    for step, sizes in ((4, {"data": 2}), (8, {"data": 8, "stream": True}), (12, {"data": 2, "fsdp": 4})):
        train("moved", step, **sizes)
    for name, devices in (("pieces_one", 1), ("pieces", 8)):
        train(name, 4, pieces=5, data=devices)
    print(
        json.dumps(
            {
                "devices": jax.device_count(),
                "gathered": gathered(data=8),
                "rows": [rows_agree(count) for count in (3, 8, 21)],
                "shares": shares("moved", data=2, fsdp=4),
                "scores": {name: [score(name, stream) for stream in (False, True)] for name in ("one", "moved")},
                "undivided": refusal(lambda: train("refused", 4, data=7)),
                "larger": refusal(lambda: train("refused", 4, data=3, fsdp=3)),
            }
        )
    )
