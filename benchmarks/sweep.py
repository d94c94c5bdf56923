"""Time 64 runs of a small VAE: by one sweep, by train.py run by run, by pythae run by run.

python benchmarks/sweep.py [--torch_python=path/to/python] [--runs=5]

The runs train 64-128-2 on the digits for 2,000 steps, with 8 seeds x 8 KL weights. The time is that of whole commands,
from their start until the results are on disk. Run by run, all 64 would take minutes: `timed_of_64` of them, evenly
chosen, are timed, and their time is multiplied. `seconds_without_start` subtracts the time of the same commands with
one step instead of 2,000.
"""

import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import pairs

_RUNS, _TIMED, _STEPS = 64, 4, 2000
_CONFIG = ["--config=configs/vae.py:digits", "--config.model.hidden=128"]


def _seconds(command: list[str]) -> float:
    """Return the seconds that a command takes."""
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def sweep(python: str, folder: str, steps: int) -> float:
    """Return the seconds of all runs by one sweep.

    Args:
      python: the Python that runs the command.
      folder: the folder for run directories.
      steps: training steps per run.
    """
    axes = ["--axis=seed=0:8", "--axis=weights.kl=lin:0.5:4:8"]
    command = [python, "scripts/sweep.py", *_CONFIG, f"--config.train.steps={steps}", *axes]
    seconds = _seconds([*command, f"--workdir={folder}/{steps}"])
    rows = (pathlib.Path(folder) / str(steps) / "results.csv").read_text().splitlines()[1:]
    assert len(rows) == _RUNS and all(",done," in row for row in rows), rows
    return seconds


def train(python: str, folder: str, steps: int) -> float:
    """Return the seconds of all runs by train.py, estimated from a few of them."""
    taken = 0.0
    for number in range(0, _RUNS, _RUNS // _TIMED):
        seed, kl = number % 8, 0.5 + 0.5 * (number // 8)
        settings = [f"--config.seed={seed}", f"--config.weights.kl={kl}", f"--config.train.steps={steps}"]
        taken += _seconds([python, "scripts/train.py", *_CONFIG, *settings, f"--workdir={folder}/{steps}-{number}"])
    return taken * _RUNS / _TIMED


def pythae(python: str, folder: str, steps: int) -> float:
    """Return the seconds of all runs by pythae, estimated from a few of them."""
    taken = 0.0
    for number in range(0, _RUNS, _RUNS // _TIMED):
        kl = 0.5 + 0.5 * (number // 8)
        taken += _seconds([python, __file__, f"--side={folder},{steps},{number % 8},{kl}"])
    return taken * _RUNS / _TIMED


def one_of_pythae(folder: str, steps: str, seed: str, kl: str) -> None:
    """Train one run with pythae and store it.

    Args:
      folder: the folder for its files.
      steps: training steps, rounded up to whole epochs of eleven batches, because pythae counts epochs.
      seed: the seed.
      kl: the KL weight.
    """
    import torch
    from pythae.data.datasets import BaseDataset
    from pythae.models import BetaVAE, BetaVAEConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder
    from pythae.trainers import BaseTrainer, BaseTrainerConfig
    from sklearn.datasets import load_digits
    from torch import nn

    class Encoder(BaseEncoder):
        def __init__(self):
            super().__init__()
            self.hidden = nn.Sequential(nn.Linear(64, 128), nn.ReLU())
            self.mean, self.log_variance = nn.Linear(128, 2), nn.Linear(128, 2)

        def forward(self, x):
            h = self.hidden(x.flatten(1))
            return ModelOutput(embedding=self.mean(h), log_covariance=self.log_variance(h))

    class Decoder(BaseDecoder):
        def __init__(self):
            super().__init__()
            self.net = nn.Sequential(nn.Linear(2, 128), nn.ReLU(), nn.Linear(128, 64), nn.Sigmoid())

        def forward(self, z):
            return ModelOutput(reconstruction=self.net(z).reshape(-1, 1, 8, 8))

    torch.set_num_threads(os.cpu_count())
    x = torch.from_numpy(load_digits().images[:1300]).float()[:, None] / 16
    config = BetaVAEConfig(input_dim=(1, 8, 8), latent_dim=2, reconstruction_loss="bce", beta=float(kl))
    epochs = -(-int(steps) // -(-len(x) // 128))
    settings = dict(num_epochs=epochs, learning_rate=1e-3, per_device_train_batch_size=128, optimizer_cls="Adam")
    training = BaseTrainerConfig(output_dir=folder, seed=int(seed), no_cuda=True, **settings)
    data = BaseDataset(x, torch.zeros(len(x)))
    BaseTrainer(BetaVAE(config, encoder=Encoder(), decoder=Decoder()), data, training_config=training).train()


def main():
    """Measure all three, and report medians and ratios."""
    options = pairs.arguments(__doc__)
    if options.side:
        return one_of_pythae(*options.side.split(","))
    sides = {"ours": (sweep, sys.executable), "train.py": (train, sys.executable)}
    sides["pythae"] = (pythae, options.torch_python)
    whole, start = {side: [] for side in sides}, {side: [] for side in sides}
    with tempfile.TemporaryDirectory() as folder:
        for run in range(options.runs):
            for side, (measure, python) in sides.items():
                for steps, kept in ((1, start), (_STEPS, whole)):
                    kept[side].append(measure(python, f"{folder}/{side}-{run}", steps))
                    print(f"run {run + 1}: {side}, {steps} steps: {kept[side][-1]:.2f} s", file=sys.stderr, flush=True)
    medians = {side: statistics.median(seconds) for side, seconds in whole.items()}
    without = {side: medians[side] - statistics.median(start[side]) for side in sides}

    def ratios(seconds):
        return {side: round(seconds[side] / seconds["ours"], 3) for side in sides if side != "ours"}

    pairs.report(
        "sweep",
        median_seconds={side: round(seconds, 2) for side, seconds in medians.items()},
        times_faster=ratios(medians),
        seconds_without_start={side: round(seconds, 2) for side, seconds in without.items()},
        times_faster_without_start=ratios(without),
        timed_of_64={"train.py": _TIMED, "pythae": _TIMED},
        runs=options.runs,
    )


if __name__ == "__main__":
    main()
