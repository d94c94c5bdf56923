"""Measure the cost of streaming the data and of several devices: seconds per step, ratios.

python benchmarks/feeding.py [--steps=25] [--rounds=9]

Streaming: the convolutional VAE trains on generated images with batch size 128, with streamed and with resident data.

Weak scaling: the MLP VAE trains with 64 and 512 examples per device, the convolutional VAE with 128, on 1, 2, 4 and 8
fake devices. With more examples per device, the sum of the gradients is a smaller part of a step. Fake devices share
the processors of one machine, so the arithmetic takes longer in proportion to their number. The sum of the gradients
is also timed alone. Parameters are replicated (`mesh.data`) or sharded (`mesh.fsdp`); with shards, each device runs the
optimiser on its own shard only.

The speed of a machine drifts, so the sides run in turn, some steps at a time. Ratios are medians over the rounds. Times
are those of the wall clock, so the machine has to be idle.
"""

import argparse
import dataclasses
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
    """Yield the seconds per step of a config, again and again; the first value includes compiling.

    Args:
      name: the config's name.
      batch_size: examples per step, on all devices together.
      steps: steps per value.
      stream: whether the data are streamed.
      **sizes: the sizes of the mesh, data and fsdp; by default a single device.
    """
    config, sizes = configuration.load(f"configs/{name}.py"), {"data": 1, **sizes}
    with config.unlocked():
        config.train.update(batch_size=batch_size, steps=steps, epochs=None)
        config.data.stream = stream
    images = np.random.default_rng(0).integers(0, 256, (10_000, *SPEC.shape), np.uint8)
    with mesh.over(**sizes):
        built = dataclasses.replace(experiment.build(config, SPEC), opened={"train": {"x": images}})
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
    """Yield the seconds that it takes to sum a config's gradients over devices.

    Args:
      name: the config's name.
      steps: sums per value.
      devices: number of devices.
    """
    config = configuration.load(f"configs/{name}.py")
    shapes = jax.eval_shape(experiment.build(config, SPEC).init, jax.random.key(0)).params
    grads = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)

    def as_own(leaf):
        # JAX would otherwise know that all devices hold the same values, and multiply instead of communicating.
        return jax.lax.pcast(leaf, mesh.AXES, to="varying")

    def add(_, grads):
        return jax.lax.psum(jax.tree.map(as_own, grads), mesh.AXES)

    def added_up(grads):
        return jax.lax.fori_loop(0, steps, add, grads)

    with mesh.over(devices):
        run = jax.jit(jax.shard_map(added_up, in_specs=PartitionSpec(), out_specs=PartitionSpec()))
    while True:
        began = time.perf_counter()
        with mesh.over(devices):
            jax.block_until_ready(run(grads))
        yield (time.perf_counter() - began) / steps


def in_turn(rounds: int, sides: dict[str, Iterator[float]]) -> dict[str, np.ndarray]:
    """Return {side: seconds per step [rounds]}, after two rounds that compile."""
    taken = [{side: next(timed) for side, timed in sides.items()} for _ in range(rounds + 2)][2:]
    return {side: np.array([one[side] for one in taken]) for side in sides}


def main():
    """Measure streaming and scaling, and report them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=25, help="training steps per measurement")
    parser.add_argument("--rounds", type=int, default=9, help="measurements per side")
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
