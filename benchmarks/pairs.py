"""Time several implementations of the same work in turn, each in a new process.

A benchmark is a file with one function per side: `ours(data)`, `torch(data)` and so on. Each does the work once to warm
up and once more, and returns (seconds, loss). The losses show that the sides do the same work.

python benchmarks/pairs.py        (prints the table of docs/performance.md)
"""

import argparse
import gzip
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys

SPEED = pathlib.Path(__file__).parent / "speed.json"


def arguments(description: str) -> argparse.Namespace:
    """Parse the command line of a benchmark.

    Args:
      description: the text of --help.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    data = os.environ.get("AE_JAX_DATA_DIR")
    known = {"default": f"{data}/mnist"} if data else {"required": True}
    parser.add_argument("--data", **known, help="folder with MNIST's own files (default: mnist/ in $AE_JAX_DATA_DIR)")
    parser.add_argument("--runs", type=int, default=5, help="timed processes per side")
    parser.add_argument("--torch_python", default=sys.executable, help="the Python that has PyTorch and pythae")
    parser.add_argument("--side", default="", help="run this side alone, in this process")
    return parser.parse_args()


def main(file: str, description: str, sides: dict) -> None:
    """Run one side, or all of them in turn, and report medians and their ratios to ours.

    Args:
      file: the benchmark's file.
      description: the text of --help.
      sides: {name: function(data) -> (seconds, loss)}, ours first.
    """
    options = arguments(description)
    if options.side:
        seconds, loss = sides[options.side](pathlib.Path(options.data))
        megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # kilobytes, on Linux
        print(json.dumps({"seconds": seconds, "loss": loss, "megabytes": round(megabytes)}))
        return
    # The speed of a machine drifts, so the sides take turns.
    timed = {side: [] for side in sides}
    for run in range(options.runs):
        for side in sides:
            python = sys.executable if side == "ours" else options.torch_python
            command = [python, file, f"--side={side}", f"--data={options.data}"]
            answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
            timed[side].append(json.loads(answer.splitlines()[-1]))
            print(f"run {run + 1}: {side} {timed[side][-1]}", file=sys.stderr, flush=True)
    medians = {side: statistics.median(line["seconds"] for line in lines) for side, lines in timed.items()}
    losses = {side: lines[-1]["loss"] for side, lines in timed.items()}
    others = {side: round(seconds / medians["ours"], 3) for side, seconds in medians.items() if side != "ours"}
    rounded = {side: round(seconds, 3) for side, seconds in medians.items()}
    peaks = {side: max(line["megabytes"] for line in lines) for side, lines in timed.items()}
    measured = {"median_seconds": rounded, "loss": losses, "peak_megabytes": peaks}
    report(pathlib.Path(file).stem, **measured, times_faster=others, runs=options.runs)


def report(benchmark: str, **figures) -> None:
    """Print measurements, and store them in speed.json for the table of docs/performance.md.

    Args:
      benchmark: the name of the benchmark.
      **figures: the measurements.
    """
    from ae_jax.devices.report import cores as count_cores
    from ae_jax.experiments import rundir

    cores = f"{count_cores()} CPU cores"
    stored = json.loads(SPEED.read_text()) if SPEED.exists() else {}
    rundir.write_json(SPEED, {**stored, benchmark: {**figures, "device": cores}})
    print(json.dumps({"benchmark": benchmark, **figures, "device": cores}))


def table() -> str:
    """Return the measurements in speed.json as a Markdown table, as docs/performance.md shows it."""
    lines = ["| `python benchmarks/...` | median seconds | runs | on |", "| --- | --- | --- | --- |"]
    stored = json.loads(SPEED.read_text())
    for name, entry in stored.items():
        for seconds, faster, of in (
            ("median_seconds", "times_faster", ""),
            ("seconds_without_start", "times_faster_without_start", ", without start-up"),
        ):
            if seconds in entry:
                sides = _sides(entry[seconds], entry.get(faster, {}))
                sides += "" if of else _memory(entry.get("peak_megabytes", {}))
                lines.append(f"| `{name}.py`{of} | {sides} | {entry['runs']} | {entry['device']} |")
    fed = stored["feeding"]
    seconds, times = fed["seconds"], fed["times_resident"]["streamed"]
    shown = f"resident {seconds['resident']:.3f}, streamed {seconds['streamed']:.3f} ({times:.2f} times resident)"
    lines.append(f"| `feeding.py`, seconds a step | {shown} | {fed['runs']} | {fed['device']} |")
    for of, measured in fed["of_the_arithmetic"].items():
        devices = ", ".join(next(iter(measured.values())))
        parts = []
        for what, ratios in measured.items():
            rounded = ", ".join(f"{ratio:.2f}" for ratio in ratios.values())
            parts.append(f"{what} {rounded}")
        name = f"`feeding.py`, on {devices} devices, times the arithmetic: {of}"
        lines.append(f"| {name} | {'; '.join(parts)} | {fed['runs']} | {fed['device']} |")
    return "\n".join(lines)


def _sides(seconds: dict[str, float], faster: dict[str, float]) -> str:
    """Return the seconds of each side as text, ours first, with their ratios to ours."""
    times = {side: f" ({ratio:.2f} times ours)" for side, ratio in faster.items()}
    ordered = sorted(seconds, key=lambda side: side != "ours")
    return ", ".join(f"{side} {seconds[side]:.2f}{times.get(side, '')}" for side in ordered)


def _memory(peaks: dict[str, float]) -> str:
    """Return the peaks of memory in megabytes as text; "" if there are none."""
    return f"; at most {', '.join(f'{side} {peak} MB' for side, peak in peaks.items())}" if peaks else ""


def mnist_images(folder: pathlib.Path, part: str = "train"):
    """Return the images of a part of MNIST, "train" or "t10k", uint8 [N, 28, 28]."""
    import numpy as np

    with gzip.open(folder / f"{part}-images-idx3-ubyte.gz") as file:
        return np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 28, 28)


def ours_epoch(config: str, data: pathlib.Path, steps: int | None = None) -> tuple[float, float]:
    """Train a config on MNIST for two epochs, and return (seconds, mean loss) of the second.

    Args:
      config: the config.
      data: the folder of MNIST.
      steps: the number of steps in place of those of an epoch.
    """
    import time

    import jax

    from ae_jax.experiments import configuration, experiment
    from ae_jax.training import loop

    loaded = configuration.load(config)
    with loaded.unlocked():
        loaded.data.update(source="idx", dir=str(data), validation=0)
    built = experiment.build(loaded)
    batches = built.batches("train").on_device()
    run = jax.jit(loop.make_run(built.step, batches), donate_argnums=0)
    state, steps = built.init(jax.random.key(0)), steps or batches.steps_per_epoch
    state, _ = jax.block_until_ready(run(state, batches.arrays, built.hparams, steps))
    start = time.perf_counter()
    state, totals = jax.block_until_ready(run(state, batches.arrays, built.hparams, 2 * steps))
    return time.perf_counter() - start, float(totals["sums"]["loss"]) / steps


def torch_epoch(make_model, data: pathlib.Path, flat: bool, channels_last: bool = False) -> tuple[float, float]:
    """Train in PyTorch, eager and with fused Adam, as `ours_epoch` does.

    Args:
      make_model: makes the network, x -> (logits, mean, log_sigma).
      data: the folder of MNIST, which is read into memory.
      flat: whether the network reads images as vectors.
      channels_last: whether images and weights have the channels-last memory format.
    """
    import time

    import torch

    torch.set_num_threads(os.cpu_count())
    torch.manual_seed(0)
    images = torch.from_numpy(mnist_images(data).copy()).float().div(255)
    images = images.flatten(1) if flat else images[:, None]
    model = make_model()
    if channels_last:
        images, model = (value.to(memory_format=torch.channels_last) for value in (images, model))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    loss_of = torch.nn.functional.binary_cross_entropy_with_logits
    for _ in range(2):
        start, total = time.perf_counter(), 0.0
        for index in torch.randperm(len(images)).split(128):
            x = images[index]
            logits, mean, log_sigma = model(x)
            kl = 0.5 * (mean.square() + (2 * log_sigma).exp() - 1 - 2 * log_sigma).sum()
            loss = (loss_of(logits, x, reduction="sum") + kl) / len(x)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            total += loss.detach()
        seconds = time.perf_counter() - start
    return seconds, float(total) / (-(-len(images) // 128))


if __name__ == "__main__":
    print(table())
