"""What it costs to stream the data, and to compute on several devices: seconds a step, and ratios.

python benchmarks/feeding.py [--steps=25] [--rounds=9]

Streamed: the convolutional VAE on generated images, batch 128, beside the same data resident. Weak scaling: the MLP VAE
with 64 and 512 examples a device, of which adding up the gradients is a smaller part, and the convolutional one with
128; on 1, 2, 4 and 8 fake devices, which share the processors of one machine, so that the arithmetic is as much longer
as there are devices, and there are the gradients to be added up, which is timed alone too. Parameters lie whole on each
(`mesh.data`) or cut over all (`mesh.fsdp`), which spares each the optimizer's work on the parts of others. What is
compared runs in turn, some steps at a time, since the speed of a machine drifts; ratios are medians over the rounds.
Seconds are those of the clock: the machine has to be idle.
"""

import argparse
import itertools
import json
import os
import time
from collections.abc import Iterator

os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=8"

import jax
import jax.numpy as jnp
import numpy as np
import pairs
from jax.sharding import PartitionSpec

from ae_jax.core.types import DataSpec
from ae_jax.devices import mesh
from ae_jax.experiments import configuration, experiment
from ae_jax.training import loop

SPEC = DataSpec((28, 28, 1))
DEVICES = (2, 4, 8)


def windows(name: str, batch_size: int, steps: int, stream: bool = False, **sizes: int) -> Iterator[float]:
    """What a step of this config takes in seconds, over the next `steps` ones, again and again; the first compile."""
    config, sizes = configuration.load(f"configs/{name}.py"), {"data": 1, **sizes}
    with config.unlocked():
        config.train.update(batch_size=batch_size, steps=steps, epochs=None)
        config.data.stream = stream
    images = np.random.default_rng(0).integers(0, 256, (10_000, *SPEC.shape), np.uint8)
    with mesh.over(**sizes):
        built = experiment.build(config, SPEC)
        vars(built)["splits"] = {"train": {"x": images}}
        state, batches = built.init(jax.random.key(0)), built.batches("train")
        run, feed = loop.compiled_run(built.step, batches), batches.feed(loop.order_key(state), 0)
    for start in itertools.count(0, steps):
        began = time.perf_counter()
        with mesh.over(**sizes):
            for arrays, until in feed(start, start + steps):
                state, _ = run(state, arrays, built.hparams, jnp.int32(until))
        jax.block_until_ready(state)
        yield (time.perf_counter() - began) / steps


def sums(name: str, steps: int, devices: int) -> Iterator[float]:
    """What it takes to add up arrays as large as the gradients of this config over so many devices, in seconds."""
    config = configuration.load(f"configs/{name}.py")
    shapes = jax.eval_shape(experiment.build(config, SPEC).init, jax.random.key(0)).params
    grads = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)

    def added_up(grads):
        own = lambda leaf: jax.lax.pcast(leaf, mesh.AXES, to="varying")
        add = lambda _, grads: jax.lax.psum(jax.tree.map(own, grads), mesh.AXES)
        return jax.lax.fori_loop(0, steps, add, grads)

    with mesh.over(devices):
        run = jax.jit(jax.shard_map(added_up, in_specs=PartitionSpec(), out_specs=PartitionSpec()))
    while True:
        began = time.perf_counter()
        with mesh.over(devices):
            jax.block_until_ready(run(grads))
        yield (time.perf_counter() - began) / steps


def in_turn(rounds: int, sides: dict[str, Iterator[float]]) -> dict[str, np.ndarray]:
    """{side: seconds a step [rounds]}, after two rounds that compile."""
    taken = [{side: next(timed) for side, timed in sides.items()} for _ in range(rounds + 2)][2:]
    return {side: np.array([one[side] for one in taken]) for side in sides}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=25, help="of a window")
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    steps = options.steps
    sides = {side: windows("conv_vae", 128, steps, stream=side == "streamed") for side in ("resident", "streamed")}
    fed = in_turn(options.rounds, sides)
    scaling = {}
    for name, examples in (("vae_mlp", 64), ("vae_mlp", 512), ("conv_vae", 128)):
        sides = {"alone": windows(name, examples, steps)}
        for axis, devices in itertools.product(mesh.AXES, DEVICES):
            sides[f"mesh.{axis}", devices] = windows(name, examples * devices, steps, **{axis: devices})
            sides["the sum of the gradients alone", devices] = sums(name, steps, devices)
        taken = in_turn(options.rounds, sides)
        for what in dict.fromkeys(side[0] for side in list(sides)[1:]):
            times = {devices: np.median(taken[what, devices] / taken["alone"]) for devices in DEVICES}
            ratios = {devices: round(float(ratio) / devices, 3) for devices, ratio in times.items()}
            scaling.setdefault(f"{name}, {examples} a device", {})[what] = ratios
            print(json.dumps({name: examples, "seconds": float(np.median(taken["alone"])), what: ratios}), flush=True)
    pairs.report(
        "feeding",
        seconds={side: round(float(np.median(values)), 4) for side, values in fed.items()},
        times_resident={"streamed": round(float(np.median(fed["streamed"] / fed["resident"])), 3)},
        of_the_arithmetic=scaling,
        runs=f"{options.rounds} rounds",
    )


if __name__ == "__main__":
    main()
