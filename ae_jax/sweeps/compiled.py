"""What the runs of a program share on this machine, and what training them in each way costs here."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import jax

from ae_jax.core.types import FORMAT
from ae_jax.devices import mesh
from ae_jax.experiments import runner
from ae_jax.sweeps import fleet
from ae_jax.sweeps.plan import program_of
from ae_jax.training import loop
from ae_jax.training.step import TrainState

# What a way must gain over the others: "vmap" must pay for the rounding in which it differs.
_HANDICAP = {"map": 1.0, "threads": 1.0, "vmap": 1.2}
_WORTH_COMPILING = 30.0  # seconds that another program could save
_MEASURED = 0.1  # seconds
_SHARE = 4  # a quarter of a device's memory is for what programs that are planned, or were trained, keep
_COMPILED = 2**25  # bytes, roughly, of the compiled steps of a program


@dataclasses.dataclass(frozen=True)
class Estimate:
    """What training all runs of a program takes on this machine."""

    way: str
    seconds: float
    state_bytes: int  # of a run: parameters, their average, the optimizer's state


class Machine:
    """What all runs of a program share: its objects, its data on the devices, and what is compiled.

    Raises UserError where the parts of the config do not fit.
    """

    def __init__(self, config: Any, format: int, trust: Sequence[str]):
        self.built = runner.checked(config, format, trust=trust)
        self._batches = self.built.batches("train").on_device()
        self.estimate = functools.cache(self._estimate)
        self._arrays_on = functools.cache(lambda place: jax.device_put(self._batches.arrays, place))
        self._run_on = functools.cache(lambda mesh: fleet.side_by_side(self._program, mesh))

    def first_state(self, config: Any, hparams: Any) -> TrainState:
        return runner.first_state(self.built, config.seed, hparams)

    def state_shapes(self, count: int) -> TrainState:
        """Those of the states of `count` runs, stacked."""
        stack = lambda leaf: jax.ShapeDtypeStruct((count, *leaf.shape), leaf.dtype)
        return jax.tree.map(stack, self.built.state_shapes())

    def together(
        self, way: str, states: Sequence[TrainState], hparams: Sequence[Any]
    ) -> fleet.OneByOne | fleet.SideBySide:
        """The runs with these states and numbers, to be advanced."""
        if way == "vmap":
            return fleet.SideBySide(self._run_on, self._arrays_on, states, hparams)
        threads = fleet.threads() if way == "threads" else 1
        return fleet.OneByOne(self._run, self._arrays_on, states, hparams, threads)

    @functools.cached_property
    def _run(self):
        return loop.compiled_run(self.built.step, self._batches, self.built.config.train.max_bad_steps)

    @property
    def _program(self):
        return loop.make_run(self.built.step, self._batches, self.built.config.train.max_bad_steps)

    def _estimate(self, count: int, way: str = "auto") -> Estimate:
        """Measures a few steps in this `way`, or in all that may pay, in turn, to choose the fastest."""
        first = "map" if way == "auto" else way
        probes = {first: self._probe(first, count)}
        if way == "auto" and count > 1:
            if fleet.threads() > 1:
                probes["threads"] = self._probe("threads", count)
            # On an accelerator, which a single small run leaves idle, it always may.
            if jax.default_backend() != "cpu" or min(probe() for probe in probes.values()) > _WORTH_COMPILING:
                probes["vmap"] = self._probe("vmap", count)
        rounds = [{name: probe() for name, probe in probes.items()} for _ in range(3)]
        # Whatever else the machine does only adds to a time: the least is the nearest to the truth.
        seconds = {name: min(measured[name] for measured in rounds) for name in probes}
        way = min(probes, key=lambda name: seconds[name] * _HANDICAP[name])
        return Estimate(way, seconds[way], self.state_bytes)

    @property
    def state_bytes(self) -> int:
        leaves = jax.tree.leaves(self.built.state_shapes())
        return sum(leaf.size * leaf.dtype.itemsize for leaf in leaves)

    @property
    def kept_bytes(self) -> int:
        """What stays in memory while this object does."""
        return sum(array.nbytes for array in self._batches.arrays.values()) + _COMPILED

    def most_together(self) -> int:
        """How many runs may be in memory together: those whose states take an eighth of it, as saving copies them."""
        return max(1, mesh.device_memory() // 8 // self.state_bytes)

    def _probe(self, way, count):
        """A function that measures how many seconds all steps of so many runs would take, after it has compiled."""
        together = {"map": 1, "threads": min(count, fleet.threads()), "vmap": count}[way]
        # One by one, a single device is measured: the others, for which it would be compiled anew, are like it.
        abreast = together if way == "vmap" else together * min(count, len(jax.local_devices()))
        states = [self.first_state(self.built.config, self.built.hparams) for _ in range(together)]
        runs = self.together(way, states, [self.built.hparams] * together)
        done = 0

        def advance(steps):
            nonlocal done
            done += steps
            return sum(window.seconds for _, window in runs.advance(done, range(together)))

        advance(1)
        steps = 1
        while advance(steps) < _MEASURED and steps < 2**16:
            steps *= 2
        return lambda: advance(steps) / steps * self.built.steps * count / abreast


_machines: dict[tuple[Any, ...], Machine] = {}


def of(config: Any, format: int = FORMAT, trust: Sequence[str] = ()) -> Machine:
    """The machine of the program to which a config belongs: kept from planning to training, as many as have room.

    format, trust: as in `experiment.build`.
    """
    program = (program_of(config), format, *trust)
    if program not in _machines:
        made, room = Machine(config, format, trust), mesh.device_memory() // _SHARE
        while _machines and made.kept_bytes + sum(other.kept_bytes for other in _machines.values()) > room:
            _machines.popitem()  # planning, estimating and training go through them in one order: the first come next
        _machines[program] = made
    return _machines[program]
