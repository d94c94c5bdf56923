"""What `test_fleet.py` runs in a process of its own, as JAX settles the number of devices once: on eight of them, the
runs of a compiled group against the same runs one by one on the first. Prints where each run was.
"""

import json
import sys

import jax
import numpy as np
from small_sweeps import base, leaves, train_sweep

from ae_jax.experiments import configuration, experiment
from ae_jax.sweeps import compiled
from ae_jax.training.step import make_hparams

COUNT, STEPS = 10, 20  # more runs than devices, and no multiple of them


def runs():
    """[(config, its numbers)] of different seeds, weights and learning rates, of which one cannot but diverge."""
    configs = [base(**{"seed": str(i), "weights.kl": str(1 + i)}) for i in range(COUNT)]
    configuration.override(configs[4], "optimizer.learning_rate", "1e30")
    return [(config, make_hparams(**experiment.numbers(config))) for config in configs]


def main(folder):
    shared, members = compiled.Machine(base()), runs()
    first = lambda: [shared.first_state(*member) for member in members]
    arrays, hparams = shared._batches.arrays, [numbers for _, numbers in members]
    alone = [shared._run(state, arrays, numbers, STEPS)[0] for state, numbers in zip(first(), hparams)]
    where = {}
    for way in ("map", "vmap"):  # "threads" is what "map" is where there are several devices
        together = shared.together(way, first(), hparams)
        together.advance(STEPS // 2, range(COUNT))
        windows = dict(together.advance(STEPS, [i for i in range(COUNT) if i != 4]))
        assert 4 not in windows and all(window.step == STEPS for window in windows.values())
        assert len(leaves(together.stacked())[0]) == COUNT
        for i in windows:
            for one, other in zip(leaves(alone[i].params), leaves(together.state(i).params), strict=True):
                if way == "vmap":
                    np.testing.assert_allclose(one, other, atol=1e-5)
                else:
                    assert one.tobytes() == other.tobytes()
        states = [together._states] if way == "vmap" else [together.state(i) for i in range(COUNT)]
        where[way] = [sorted({shard.device.id for shard in leaves_of(state)}) for state in states]
    swept = train_sweep(folder, "seed=0:3", way="vmap", **{"train.steps": "20"})
    assert [swept.result(name)["status"] for name in swept.read()[1]] == ["done"] * 3
    print(json.dumps(where))


def leaves_of(state):
    """The parts of all parameters, each on its device."""
    return [shard for leaf in jax.tree.leaves(state.params) for shard in leaf.addressable_shards]


if __name__ == "__main__":
    main(sys.argv[1])
