"""Compare the steps per second of four models: this package, PyTorch eager and compiled.

All sides run on the machine's GPU, or else on its CPU. The examples are noise with the shape of the data, and lie on
the device. This package runs a whole epoch in one dispatch. The networks are those of the configs, with Bernoulli
likelihoods for images. Both sides must have equally many weights; biases are not counted, because PyTorch's LSTM has
two of each.

python benchmarks/accelerator.py                                                         (on a GPU)
python benchmarks/accelerator.py --models=mlp,resnet --examples=16 --batch_size=8 --runs=1    (a trial on a CPU)
"""

import argparse
import dataclasses
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import conv_vae
import music_vae
import resnet_vae
import vae_mlp


@dataclasses.dataclass(frozen=True)
class Work:
    """A model to compare.

    Args:
      config: the config.
      torch_model: makes the same network in PyTorch, x -> (logits, mean, log_sigma).
      shape: the shape of an example.
      examples: the number of examples in an epoch.
      levels: the number of values of a pixel or event.
      flat: whether PyTorch's network reads images as vectors.
      model: the keys in which the config's section model is changed; None removes a key.
    """

    config: str
    torch_model: Callable
    shape: tuple[int, ...]
    examples: int
    levels: int = 256
    flat: bool = False
    model: dict = dataclasses.field(default_factory=dict)

    @property
    def is_music(self) -> bool:
        """Return whether the examples are melodies."""
        return len(self.shape) == 1


_BERNOULLI = {"likelihood": "bernoulli", "mixtures": None, "remat": None}
MODELS = {
    "mlp": Work("configs/vae_mlp.py:mnist", vae_mlp.torch_model, (28, 28, 1), 50_000, flat=True),
    "conv": Work("configs/conv_vae.py:mnist", conv_vae.torch_model, (28, 28, 1), 50_000),
    "resnet": Work("configs/celeba64.py", resnet_vae.torch_model, (64, 64, 3), 5_000, model=_BERNOULLI),
    "music": Work(
        "configs/music_vae_2bar.py", music_vae.torch_model, (32,), 40_000, levels=90, model={"sampling": None}
    ),
}


def noise(work: Work, examples: int):
    """Return uniform noise, uint8 [examples, *shape]."""
    import numpy as np

    return np.random.default_rng(0).integers(0, work.levels, (examples, *work.shape), np.uint8)


def ours(work: Work, examples: int, batch_size: int, epochs: int):
    """Train in this package; return (seconds of the last epoch, number of weights, device)."""
    import jax

    from ae_jax.core.types import DataSpec
    from ae_jax.data.batching import Batches
    from ae_jax.experiments import configuration, experiment
    from ae_jax.training import loop

    config = configuration.load(work.config)
    spec = DataSpec(work.shape, "events" if work.is_music else "pixels", levels=work.levels)
    with config.unlocked():
        config.model = {key: value for key, value in {**config.model, **work.model}.items() if value is not None}
        config.train.update(accumulate=None, ema=0.0)
        config.optimizer.clip, config.data.transpose = None, 0
    built = experiment.build(config, spec)
    batches = Batches({"x": noise(work, examples)}, spec, batch_size).on_device()
    run, state = loop.compiled_run(built.step, batches), built.init(jax.random.key(0))
    leaves = jax.tree_util.tree_leaves_with_path(state.params)
    weights = sum(leaf.size for path, leaf in leaves if path[-1].key == "kernel")
    steps = batches.steps_per_epoch
    for epoch in range(1, epochs + 1):
        start = time.perf_counter()
        state, _ = jax.block_until_ready(run(state, batches.arrays, built.hparams, epoch * steps))
        seconds = time.perf_counter() - start
    return seconds, weights, jax.devices()[0].device_kind


def torch(work: Work, examples: int, batch_size: int, epochs: int, compiled: bool = False):
    """Train in PyTorch with fused Adam and TF32, and return the same values as `ours`."""
    import os

    import torch
    from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.set_num_threads(os.cpu_count())
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.allow_tf32 = torch.backends.cudnn.benchmark = True
    x = torch.from_numpy(noise(work, examples)).to(device)
    if not work.is_music:
        x = x.flatten(1) if work.flat else x.permute(0, 3, 1, 2).contiguous()
    model = work.torch_model().to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)

    def loss_of(x):
        x = x if work.is_music else x.float() / 255
        logits, mean, log_sigma = model(x)
        kl = 0.5 * (mean.square() + (2 * log_sigma).exp() - 1 - 2 * log_sigma).sum()
        if work.is_music:
            nats = cross_entropy(logits.transpose(1, 2), x.long(), reduction="sum")
        else:
            nats = binary_cross_entropy_with_logits(logits, x, reduction="sum")
        return (nats + kl) / len(x)

    loss_of = torch.compile(loss_of) if compiled else loss_of
    for _ in range(epochs):
        start, total = time.perf_counter(), 0.0
        for index in torch.randperm(examples, device=device).split(batch_size):
            loss = loss_of(x[index])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            total += loss.detach()
        total.item()  # waits until the device has finished
        seconds = time.perf_counter() - start
    kind = torch.cuda.get_device_name() if device == "cuda" else "cpu"
    return seconds, sum(p.numel() for p in model.parameters() if p.ndim > 1), kind


def torch_compiled(*work):
    """Train as `torch` does, with torch.compile."""
    return torch(*work, compiled=True)


SIDES = {"ours": ours, "torch": torch, "torch_compiled": torch_compiled}


def main():
    """Run one side of the models, or compare all sides."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default=",".join(MODELS), help="the models, joined by commas")
    parser.add_argument("--examples", type=int, default=0, help="examples per epoch; 0: the model's own number")
    parser.add_argument("--batch_size", type=int, default=128, help="examples per step")
    parser.add_argument("--epochs", type=int, default=2, help="epochs, the last of which is timed")
    parser.add_argument("--runs", type=int, default=5, help="processes per side; their median is reported")
    parser.add_argument("--torch_python", default=sys.executable, help="the Python that has PyTorch")
    parser.add_argument("--side", default="", help="run this side alone, in this process")
    options = parser.parse_args()
    for name in options.models.split(","):
        work = MODELS[name]
        sizes = (options.examples or work.examples, options.batch_size, options.epochs)
        if options.side:
            print(json.dumps(SIDES[options.side](work, *sizes)))
        else:
            compare(name, sizes, options)


def compare(name: str, sizes: tuple[int, int, int], options: argparse.Namespace) -> None:
    """Run all sides in turn in new processes, and print their median steps per second.

    Args:
      name: the model.
      sizes: (examples, batch size, epochs).
      options: the command line.
    """
    flags = [f"--{key}={value}" for key, value in zip(("examples", "batch_size", "epochs"), sizes)]
    found = {side: [] for side in SIDES}
    for _ in range(options.runs):
        for side in SIDES:
            python = sys.executable if side == "ours" else options.torch_python
            command = [python, __file__, f"--models={name}", f"--side={side}", *flags]
            answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
            found[side].append(json.loads(answer.splitlines()[-1]))
    weights = {side: runs[0][1] for side, runs in found.items()}
    assert len(set(weights.values())) == 1, f"not the same network: {weights}"
    steps = -(-sizes[0] // sizes[1])
    rates = {side: steps / statistics.median(seconds for seconds, *_ in runs) for side, runs in found.items()}
    line = {"model": name, "weights": weights["ours"], "batch_size": sizes[1], "device": found["ours"][0][2]}
    line |= {"steps_per_second": {side: round(rate, 2) for side, rate in rates.items()}}
    print(json.dumps(line | {"times_torch": round(rates["ours"] / rates["torch"], 2)}), flush=True)


if __name__ == "__main__":
    main()
