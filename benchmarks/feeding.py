"""What it costs to stream the data, and to compute on several devices: seconds of all processors a step, and ratios.

python benchmarks/feeding.py [--steps=100]

Streamed: the convolutional VAE on generated images, batch 128, beside the same data resident. Weak scaling: the MLP VAE
with 64 and 512 examples a device, of which adding up the gradients is a smaller part, and the convolutional one with
128; on 1, 2, 4 and 8 fake devices, which share the processors of one machine, so that the arithmetic is as much longer
as there are devices. Parameters lie whole on each (`mesh.data`) or cut over all (`mesh.fsdp`), which spares each the
optimizer's work on the parts of others. Seconds are those that the processors worked (`time.process_time`): other work
on the machine does not count, nor does waiting.
"""

import argparse
import json
import os
import time

os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=8"

import jax
import numpy as np
import pairs

from ae_jax import configuration, experiment, mesh, train
from ae_jax.types import DataSpec

SPEC = DataSpec((28, 28, 1))


def seconds(name: str, batch_size: int, steps: int, **data) -> float:
    """What a step of this config takes, the median over three windows of `steps`, after one that compiles."""
    config = configuration.load(name)
    with config.unlocked():
        config.train.update(batch_size=batch_size, steps=4 * steps, epochs=None)
        config.data.update(data)
    built, times = experiment.build(config, SPEC), []
    images = np.random.default_rng(0).integers(0, 256, (10_000, *SPEC.shape), np.uint8)
    vars(built)["splits"] = {"train": {"x": images}}
    hook = lambda step, state, metrics: times.append(time.process_time())
    state, batches = built.init(jax.random.key(0)), built.batches("train")
    train.fit(state, batches, built.step, built.hparams, steps=built.steps, hooks=[(steps, hook)])
    return float(np.median(np.diff(times))) / steps


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=100)
    steps = parser.parse_args().steps
    with mesh.over(1):
        resident, streamed = (seconds("configs/conv_vae.py", 128, steps, stream=stream) for stream in (False, True))
    fed = {"resident": round(resident, 4), "streamed": round(streamed, 4)}
    scaling = {}
    for name, examples in (("vae_mlp", 64), ("vae_mlp", 512), ("conv_vae", 128)):
        with mesh.over(1):
            alone = seconds(f"configs/{name}.py", examples, steps)
        for axis in mesh.AXES:
            ratios = {}
            for devices in (2, 4, 8):
                with mesh.over(**{"data": 1, axis: devices}):
                    taken = seconds(f"configs/{name}.py", examples * devices, steps)
                ratios[devices] = round(taken / (devices * alone), 3)
            scaling[f"{name}, {examples} a device, mesh.{axis}"] = ratios
            print(json.dumps({name: examples, "seconds": alone, axis: ratios}), flush=True)
    times = {"streamed": round(streamed / resident, 3)}
    pairs.report("feeding", processor_seconds=fed, times_resident=times, of_the_arithmetic=scaling, runs="3 windows")


if __name__ == "__main__":
    main()
