"""The compiled program of runs that differ only in what is traced, the two ways of running it, and what each costs.

"map" runs one after the other through the program that trains a single run, compiled once and called once a run. So
every run ends in the bytes that it has alone, by construction; of a `lax.map` over the runs, which would be compiled
anew for every number of them, one could only observe it. "vmap" runs all side by side, in arrays with an axis of runs:
what an accelerator likes, and small networks; sums are then taken in another order, and steps differ by rounding.
Where the devices divide the runs, each then has its share of them, as eight seeds on the eight cores of a TPU.
The same bytes, of one run as of many, take the same device: on a CPU also as many cores, by which XLA splits products.
"""

import dataclasses
import functools
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ae_jax import mesh, runner, sweep, train

WAYS = ("map", "vmap")
# "vmap" must pay for the rounding in which it differs, and measuring it, which is compiling it, for itself.
_GAIN = 1.2
_WORTH_MEASURING = 10.0  # seconds
_MEASURED = 0.1  # seconds
_KEPT = 4


@dataclasses.dataclass(frozen=True)
class Window:
    """What one run did in one dispatch."""

    step: int
    bad_steps: int  # non-finite ones in a row at its end
    totals: Mapping[str, Any]  # as of `train.make_run`
    seconds: float  # its share


@dataclasses.dataclass(frozen=True)
class Estimate:
    """What training all runs of a program takes on this machine."""

    way: str
    seconds: float
    state_bytes: int  # of a run: parameters, their average, the optimizer's state


class Machine:
    """What all runs of a program share: its objects, its data on the device, and what is compiled.

    Raises UserError where the parts of the config do not fit.
    """

    def __init__(self, config: Any):
        self.built = runner.checked(config)
        self._batches = self.built.batches("train").on_device()

    def first_state(self, config: Any, hparams: Any) -> train.TrainState:
        return runner.first_state(self.built, config.seed, hparams)

    def state_shapes(self, count: int) -> train.TrainState:
        """Those of the states of `count` runs, stacked."""
        stack = lambda leaf: jax.ShapeDtypeStruct((count, *leaf.shape), leaf.dtype)
        return jax.tree.map(stack, self.built.state_shapes())

    def fleet(self, way: str, states: Sequence[train.TrainState], hparams: Sequence[Any]) -> "_OneByOne | _SideBySide":
        """The runs with these states and numbers, to be advanced."""
        kind, run = {"map": (_OneByOne, self._run), "vmap": (_SideBySide, self._run_all)}[way]
        return kind(functools.partial(self._call, run), states, hparams)

    def _call(self, run, states, hparams, until):
        return run(states, self._batches.arrays, hparams, jnp.int32(until))

    @functools.cached_property
    def _run(self):
        return train.compiled_run(self.built.step, self._batches, self.built.config.train.max_bad_steps)

    @functools.cached_property
    def _run_all(self):
        run = train.make_run(self.built.step, self._batches, self.built.config.train.max_bad_steps)
        return jax.jit(jax.vmap(run, in_axes=(0, None, 0, None)), donate_argnums=0)

    def estimate(self, count: int, way: str = "auto") -> Estimate:
        """Measures a few steps in this `way`, or in both, in turn, to choose the faster."""
        first = "map" if way == "auto" else way
        probes = {first: self._probe(first, count)}
        if way == "auto" and count > 1 and probes["map"]() > _WORTH_MEASURING:
            probes["vmap"] = self._probe("vmap", count)
        rounds = [{name: probe() for name, probe in probes.items()} for _ in range(3)]
        # Whatever else the machine does only adds to a time: the least is the nearest to the truth.
        seconds = {name: min(measured[name] for measured in rounds) for name in probes}
        way = "vmap" if seconds.get("vmap", np.inf) * _GAIN < seconds.get("map", np.inf) else first
        return Estimate(way, seconds[way], self.state_bytes)

    @property
    def state_bytes(self) -> int:
        leaves = jax.tree.leaves(self.built.state_shapes())
        return sum(leaf.size * leaf.dtype.itemsize for leaf in leaves)

    def most_together(self) -> int:
        """How many runs may be in memory together: those whose states take an eighth of it, as saving copies them."""
        return max(1, mesh.device_memory() // 8 // self.state_bytes)

    def _probe(self, way, count):
        """A function that measures how many seconds all steps of so many runs would take, after it has compiled."""
        together = count if way == "vmap" else 1
        state, hparams = self.first_state(self.built.config, self.built.hparams), self.built.hparams
        fleet = self.fleet(way, [state] * together, [hparams] * together)
        done = 0

        def advance(steps):
            nonlocal done
            done += steps
            return sum(window.seconds for _, window in fleet.advance(done, range(together)))

        advance(1)
        steps = 1
        while advance(steps) < _MEASURED and steps < 2**16:
            steps *= 2
        return lambda: advance(steps) / steps * self.built.steps * count / together


_machines: dict[str, Machine] = {}


def of(config: Any) -> Machine:
    """The machine of the program to which a config belongs; of the last few programs it is kept."""
    program = sweep.program_of(config)
    if program not in _machines:
        while len(_machines) >= _KEPT:
            _machines.pop(next(iter(_machines)))
        _machines[program] = Machine(config)
    return _machines[program]


class _OneByOne:
    """Every run's state on its own."""

    def __init__(self, run, states, hparams):
        self._run, self._states, self._hparams = run, list(states), hparams

    def advance(self, until: int, going: Sequence[int]) -> Iterator[tuple[int, Window]]:
        """Takes the runs with these numbers up to step number `until`."""
        for i in going:
            start = time.perf_counter()
            self._states[i], totals = self._run(self._states[i], self._hparams[i], until)
            totals = jax.device_get(totals)
            step, bad_steps = int(self._states[i].step), int(self._states[i].bad_steps)
            yield i, Window(step, bad_steps, totals, time.perf_counter() - start)

    def state(self, i: int) -> train.TrainState:
        return self._states[i]

    def stacked(self) -> train.TrainState:
        """All states, with an axis of runs in front."""
        return stack(self._states)


class _SideBySide:
    """All states in arrays with an axis of runs in front."""

    def __init__(self, run, states, hparams):
        stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *hparams)
        self._run, self._hparams = run, over_devices(stacked, len(states))
        self._states = over_devices(jax.tree.map(jnp.copy, stack(states)), len(states))

    def advance(self, until: int, going: Sequence[int]) -> Iterator[tuple[int, Window]]:
        """Takes all runs that did not fail up to step number `until`; answers for those with these numbers."""
        start = time.perf_counter()
        self._states, totals = self._run(self._states, self._hparams, until)
        step, bad_steps, totals = jax.device_get((self._states.step, self._states.bad_steps, totals))
        share = (time.perf_counter() - start) / len(going)
        for i in going:
            yield i, Window(int(step[i]), int(bad_steps[i]), at(totals, i), share)

    def state(self, i: int) -> train.TrainState:
        return at(self._states, i)

    def stacked(self) -> train.TrainState:
        """All states, with an axis of runs in front."""
        return self._states


def over_devices(stacked: Any, count: int) -> Any:
    """A tree with an axis of `count` runs in front, cut along it over this process's devices if they divide it."""
    devices = jax.local_devices()
    if len(devices) == 1 or count % len(devices):
        return stacked
    mesh = jax.make_mesh((len(devices),), ("runs",), (jax.sharding.AxisType.Auto,), devices=devices)
    return jax.device_put(stacked, jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("runs")))


def stack(states: Sequence[train.TrainState]) -> train.TrainState:
    """One state with an axis of runs in front of every leaf."""

    join = lambda *leaves: np.stack(leaves) if isinstance(leaves[0], np.ndarray) else jnp.stack(leaves)
    return jax.tree.map(join, *map(on_host, states))


def on_host(stacked: train.TrainState) -> train.TrainState:
    """The same in memory where taking single runs out is cheap."""
    as_array = lambda leaf: leaf if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) else np.asarray(leaf)
    return jax.tree.map(as_array, stacked)


def at(stacked: Any, i: int) -> Any:
    """What belongs to run number `i`, of a tree with an axis of runs in front of every leaf."""
    return jax.tree.map(lambda leaf: leaf[i], stacked)
