"""The parts that a compiled group's runs share on this machine, and how long they train."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax

from ae_jax.core.types import FORMAT
from ae_jax.devices import mesh
from ae_jax.experiments import runner
from ae_jax.sweeps import fleet
from ae_jax.sweeps.plan import group_key
from ae_jax.training import loop
from ae_jax.training.step import TrainState

# The factor by which the seconds of a way are multiplied before ways are compared. The runs of "vmap" differ by
# rounding from runs that are trained alone, so it must be clearly faster.
_HANDICAP = {"map": 1.0, "threads": 1.0, "vmap": 1.2}
# On a CPU, "vmap" is compiled and measured only if training takes more seconds than this.
_WORTH_COMPILING = 30.0
# How many seconds one measurement takes at least, and how often it is repeated.
_MEASURED = 0.1
_REPEATS = 3
# All kept machines together may occupy the memory of a device divided by this number.
_SHARE = 4
# The rough size of a compiled program in bytes.
_PROGRAM_BYTES = 2**25


@dataclasses.dataclass(frozen=True)
class Estimate:
    """The cost of training all runs of a group on this machine.

    Attributes:
      way: the fastest way to train them: "map", "threads" or "vmap".
      seconds: how long it takes, without evaluating and saving.
      state_bytes: the size of a run's state: its parameters, their average, and the optimizer's state.
    """

    way: str
    seconds: float
    state_bytes: int


class Machine:
    """The objects, data and programs that the runs of a compiled group share.

    These are the objects that their configs describe, the data on the devices, and the compiled programs.
    """

    def __init__(self, config: Any, format: int = FORMAT, trust: Sequence[str] = ()):
        """Build the objects and put the training data on the devices.

        Args:
          config: the config of any run of the group.
          format: the format of the sweep's directory; see `ae_jax.core.types.FORMAT`.
          trust: modules outside ae_jax that stored configs may name, as in `ae_jax.experiments.experiment.build`.

        Raises:
          UserError: if the parts of the config do not fit together.
        """
        self.built = runner.checked(config, format, trust=trust)
        self._batches = self.built.batches("train").on_device()
        # Cached for each object, and dropped with it. functools.cache on a method would keep all objects alive.
        self.estimate = functools.cache(self._estimate)
        self._arrays_on = functools.cache(lambda place: jax.device_put(self._batches.arrays, place))
        self._run_on = functools.cache(lambda devices: fleet.side_by_side(self._uncompiled_run, devices))

    def first_state(self, config: Any, hparams: Any) -> TrainState:
        """Return the state of a run before its first step.

        Args:
          config: the config of the run, of which the seed is read.
          hparams: the traced numbers of the run.
        """
        return runner.first_state(self.built, config.seed, hparams)

    def state_shapes(self, count: int) -> TrainState:
        """Return the shapes of the states of several runs.

        Args:
          count: the number of runs.

        Returns:
          Tree of `jax.ShapeDtypeStruct` with a leading axis of runs.
        """

        def add_axis(leaf):
            return jax.ShapeDtypeStruct((count, *leaf.shape), leaf.dtype)

        return jax.tree.map(add_axis, self.built.state_shapes())

    def together(
        self, way: str, states: Sequence[TrainState], hparams: Sequence[Any]
    ) -> fleet.OneByOne | fleet.SideBySide:
        """Return runs that are ready to be trained together.

        Args:
          way: "map", "threads" or "vmap".
          states: the states of the runs.
          hparams: the traced numbers of the runs.
        """
        if way == "vmap":
            return fleet.SideBySide(self._run_on, self._arrays_on, states, hparams)
        threads = fleet.threads() if way == "threads" else 1
        return fleet.OneByOne(self._run, self._arrays_on, states, hparams, threads)

    @functools.cached_property
    def _run(self):
        # The ways "map" and "threads" call this function for each run, so it does not depend on the number of runs.
        return loop.compiled_run(self.built.step, self._batches, self.built.config.train.max_bad_steps)

    @property
    def _uncompiled_run(self):
        return loop.make_run(self.built.step, self._batches, self.built.config.train.max_bad_steps)

    # --- memory -------------------------------------------------------------------------------------------------------

    @property
    def state_bytes(self) -> int:
        """Return the size of a run's state in bytes."""
        leaves = jax.tree.leaves(self.built.state_shapes())
        return sum(leaf.size * leaf.dtype.itemsize for leaf in leaves)

    @property
    def kept_bytes(self) -> int:
        """Return how many bytes this object occupies on a device."""
        return sum(array.nbytes for array in self._batches.arrays.values()) + _PROGRAM_BYTES

    def most_together(self) -> int:
        """Return how many runs may be in memory at the same time."""
        # Their states may take an eighth of the memory, because saving copies them.
        return max(1, mesh.device_memory() // 8 // self.state_bytes)

    # --- time ---------------------------------------------------------------------------------------------------------

    def _estimate(self, count: int, way: str = "auto") -> Estimate:
        """Estimate what training takes, by measuring a few steps.

        Args:
          count: the number of runs.
          way: the way to measure, or "auto" for the fastest of those that may pay.
        """
        first = "map" if way == "auto" else way
        probes = {first: self._probe(first, count)}
        if way == "auto" and count > 1:
            if fleet.threads() > 1:
                probes["threads"] = self._probe("threads", count)
            # A single small run leaves most of an accelerator idle, so there "vmap" always may pay.
            if jax.default_backend() != "cpu" or min(probe() for probe in probes.values()) > _WORTH_COMPILING:
                probes["vmap"] = self._probe("vmap", count)
        # The ways are measured in turn, so that whatever else the machine does disturbs them alike.
        measured = [{name: probe() for name, probe in probes.items()} for _ in range(_REPEATS)]
        # Other work only adds to a measurement, so the least one is the nearest to the truth.
        seconds = {name: min(times[name] for times in measured) for name in probes}
        best = min(probes, key=lambda name: seconds[name] * _HANDICAP[name])
        return Estimate(best, seconds[best], self.state_bytes)

    def _probe(self, way: str, count: int) -> Callable[[], float]:
        """Compile a way of training, and return a function that measures it.

        Args:
          way: the way.
          count: the number of runs.

        Returns:
          A function that returns how many seconds all steps of all runs would take.
        """
        together = {"map": 1, "threads": min(count, fleet.threads()), "vmap": count}[way]
        # The ways other than "vmap" are measured on one device. They would be compiled anew for each of the others,
        # which are like it.
        at_a_time = together if way == "vmap" else together * min(count, len(jax.local_devices()))
        # Only the time is measured, so all runs of a probe may begin with the same state.
        states = [self.first_state(self.built.config, self.built.hparams) for _ in range(together)]
        runs = self.together(way, states, [self.built.hparams] * together)
        done = 0

        def advance(steps):
            nonlocal done
            done += steps
            return sum(window.seconds for _, window in runs.advance(done, range(together)))

        advance(1)  # compiles
        steps = 1
        # The speed of the machine is unknown, so the number of steps is doubled until the clock can measure them.
        while advance(steps) < _MEASURED and steps < 2**16:
            steps *= 2
        return lambda: advance(steps) / steps * self.built.steps * count / at_a_time


class Machines:
    """The machines of several compiled groups, kept from planning to training.

    As many are kept as there is memory for.
    """

    def __init__(self):
        """Begin without machines."""
        self._kept = {}

    def of(self, config: Any, format: int = FORMAT, trust: Sequence[str] = ()) -> Machine:
        """Return the machine of the compiled group to which a config belongs.

        Args:
          config: the config of any run of the group.
          format: as in `Machine`.
          trust: as in `Machine`.

        Raises:
          UserError: if the parts of the config do not fit together.
        """
        key = (group_key(config), format, *trust)
        if key not in self._kept:
            machine = Machine(config, format, trust)
            room = mesh.device_memory() // _SHARE
            # The newest machine goes first: planning, estimating and training go through the groups in the same order,
            # so the oldest machines are needed next.
            while self._kept and machine.kept_bytes + self._kept_bytes() > room:
                self._kept.popitem()
            self._kept[key] = machine
        return self._kept[key]

    def _kept_bytes(self) -> int:
        return sum(machine.kept_bytes for machine in self._kept.values())
