"""Time sixteen seeds of the MLP VAE in one process, trained together and one after another.

Each trains 784-500-20 for one epoch of MNIST. Together, they run in the way that the plan of a sweep chooses here.

python benchmarks/together.py [--data=path/to/mnist] [--runs=5]
"""

import statistics
import time

import pairs

_COUNT = 16


def main():
    """Measure both, and report their medians."""
    from ae_jax.experiments import configuration, experiment
    from ae_jax.sweeps import compiled
    from ae_jax.training.step import make_hparams

    options = pairs.arguments(__doc__)
    config = configuration.load("configs/vae_mlp.py:mnist")
    with config.unlocked():
        config.data.update(source="idx", dir=options.data, validation=0)
        config.train.epochs = 1
    shared, numbers = compiled.Machine(config), make_hparams(**experiment.numbers(config))
    way, steps = shared.estimate(_COUNT).way, shared.built.steps

    def epoch(way: str) -> float:
        """Return the seconds of an epoch, after one step that compiles."""
        states = [shared.first_state(config, numbers) for _ in range(_COUNT)]
        runs = shared.together(way, states, [numbers] * _COUNT)
        runs.advance(1, range(_COUNT))
        start = time.perf_counter()
        runs.advance(1 + steps, range(_COUNT))
        return time.perf_counter() - start

    timed = {"ours": [], "one_after_another": []}
    for _ in range(options.runs):
        timed["ours"].append(epoch(way))
        timed["one_after_another"].append(epoch("map"))
    medians = {side: statistics.median(seconds) for side, seconds in timed.items()}
    ratio = {"one_after_another": round(medians["one_after_another"] / medians["ours"], 3)}
    rounded = {side: round(seconds, 2) for side, seconds in medians.items()}
    pairs.report("together", median_seconds=rounded, times_faster=ratio, way=way, runs=options.runs)


if __name__ == "__main__":
    main()
