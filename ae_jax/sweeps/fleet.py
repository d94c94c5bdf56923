"""Three ways to train the runs of a compiled group together, on all devices of this machine.

"map": the devices take the runs in turn, and each device trains its runs one after the other, by the function that
trains a single run, which is compiled once. So a run ends with the same bytes as when it is trained alone. A `lax.map`
over the runs would be compiled anew for every number of runs, and equal bytes could be observed but not guaranteed.

"threads": like "map", with as many calls at a time as there are CPU cores. Small networks leave most cores idle.

"vmap": all runs advance side by side, in arrays with a leading axis of runs that is sharded over the devices. This is
fast on accelerators. Sums are taken in another order, so the steps of a run differ by rounding from those it takes
alone.

Equal bytes also need the same kind of device, and on a CPU the same number of cores, by which XLA splits products.
"""

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent import futures
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from ae_jax.devices import report
from ae_jax.training.step import TrainState

_RUNS = "runs"  # the axis of the mesh over which runs are sharded
_BY_RUN = PartitionSpec(_RUNS)
_REPLICATED = PartitionSpec()


@dataclasses.dataclass(frozen=True)
class Window:
    """The result of one run's steps in one dispatch.

    Attributes:
      step: the step that it reached.
      bad_steps: how many steps in a row were not finite at the end.
      totals: sums over the steps, as `ae_jax.training.loop.make_run` returns them.
      seconds: the run's share of the time.
    """

    step: int
    bad_steps: int
    totals: Mapping[str, Any]
    seconds: float


class OneByOne:
    """Runs whose states are apart, each on one of the devices: the ways "map" and "threads"."""

    def __init__(self, run: Callable, arrays_on: Callable, states: Sequence[Any], hparams: Sequence[Any], threads: int):
        """Place the runs on the devices of this machine, in turn.

        Args:
          run: trains a single run, as `ae_jax.training.loop.compiled_run` makes it.
          arrays_on: maps a device or a sharding to the arrays of the data there.
          states: the states of the runs.
          hparams: the traced numbers of the runs.
          threads: how many runs train at a time on each device.
        """
        devices = jax.local_devices()
        self._run = run
        self._threads = len(devices) * threads
        self._devices = [devices[i % len(devices)] for i in range(len(states))]
        self._arrays = {device: arrays_on(device) for device in set(self._devices)}
        self._states = list(map(jax.device_put, states, self._devices))
        self._hparams = list(map(jax.device_put, hparams, self._devices))
        self._compiled: set[jax.Device] = set()

    def advance(self, until: int, going: Sequence[int]) -> Sequence[tuple[int, Window]]:
        """Train runs up to a step.

        Args:
          until: the step.
          going: the numbers of the runs to train.

        Returns:
          (number of a run, what it did) for each of these runs.
        """
        start = time.perf_counter()
        done: dict[int, tuple[int, int, Any]] = {}
        # Threads that call a function before it is compiled would each compile it. So the first run of every device
        # goes ahead of the others.
        for i in going:
            if self._devices[i] not in self._compiled:
                self._compiled.add(self._devices[i])
                done[i] = self._advance(i, until)
        rest = [i for i in going if i not in done]
        with futures.ThreadPoolExecutor(self._threads) as pool:
            done |= dict(zip(rest, pool.map(lambda i: self._advance(i, until), rest)))
        share = (time.perf_counter() - start) / len(going)
        windows = []
        for i in going:
            step, bad_steps, totals = done[i]
            windows.append((i, Window(step, bad_steps, totals, share)))
        return windows

    def _advance(self, i, until):
        """Train run number `i` up to a step, and return (step, bad_steps, totals) as in `Window`."""
        arrays = self._arrays[self._devices[i]]
        self._states[i], totals = self._run(self._states[i], arrays, self._hparams[i], jnp.int32(until))
        # JAX returns before the device is done. Reading the numbers waits, so that the caller's clock covers the work.
        return int(self._states[i].step), int(self._states[i].bad_steps), jax.device_get(totals)

    def state(self, i: int) -> TrainState:
        """Return the state of a run.

        Args:
          i: the number of the run.
        """
        return self._states[i]

    def stacked(self) -> TrainState:
        """Return the states of all runs in one tree, with a leading axis of runs."""
        return stack(self._states)


class SideBySide:
    """Runs whose states are stacked, with an axis sharded over the devices: the way "vmap"."""

    def __init__(self, run_on: Callable, arrays_on: Callable, states: Sequence[Any], hparams: Sequence[Any]):
        """Stack the runs and shard them over the devices of this machine.

        Args:
          run_on: maps a mesh of devices to what `side_by_side` makes for it.
          arrays_on: maps a device or a sharding to the arrays of the data there.
          states: the states of the runs.
          hparams: the traced numbers of the runs.
        """
        devices = jax.local_devices()[: len(states)]
        mesh = Mesh(devices, (_RUNS,))
        self._count = len(states)
        # Every device must have equally many runs: copies of the last run fill the places that are left.
        copies = -len(states) % len(devices)

        def shard(trees):
            stacked = stack([*trees, *[trees[-1]] * copies])
            # The caller keeps its states. A copy of them is donated to the first step.
            return jax.device_put(jax.tree.map(jnp.copy, stacked), NamedSharding(mesh, _BY_RUN))

        self._run = run_on(mesh)
        self._arrays = arrays_on(NamedSharding(mesh, _REPLICATED))
        self._states, self._hparams = shard(states), shard(hparams)
        self._on_host = None  # a copy of the states, made when one of them is read

    def advance(self, until: int, going: Sequence[int]) -> Sequence[tuple[int, Window]]:
        """Train all runs up to a step; a run that has failed stays where it is.

        Args:
          until: the step.
          going: the numbers of the runs to report on.

        Returns:
          (number of a run, what it did) for each of these runs.
        """
        start = time.perf_counter()
        self._states, totals = self._run(self._states, self._arrays, self._hparams, jnp.int32(until))
        # The copy on the host, if there is one, is of the states before these steps.
        self._on_host = None
        # The transfer waits for the device. Without it, the seconds would only cover the dispatch.
        step, bad_steps, totals = jax.device_get((self._states.step, self._states.bad_steps, totals))
        share = (time.perf_counter() - start) / len(going)
        return [(i, Window(int(step[i]), int(bad_steps[i]), at(totals, i), share)) for i in going]

    def state(self, i: int) -> TrainState:
        """Return the state of a run.

        Args:
          i: the number of the run.
        """
        # One copy for all runs: slicing the arrays on a device would compile and dispatch for every leaf of each run.
        if self._on_host is None:
            self._on_host = on_host(self._states)
        return at(self._on_host, i)

    def stacked(self) -> TrainState:
        """Return the states of all runs in one tree, with a leading axis of runs."""
        # The copies of the last run that fill the devices are no runs of the group.
        return jax.tree.map(lambda leaf: leaf[: self._count], self._states)


def side_by_side(run: Callable, mesh: Mesh) -> Callable:
    """Make the jitted function that trains all runs at once.

    Each device of the mesh has its part of the runs and never waits for the others. The states passed to the function
    are donated.

    Args:
      run: trains a single run, as `ae_jax.training.loop.make_run` makes it.
      mesh: a mesh of devices with the axis "runs".

    Returns:
      The function (states, arrays, hparams, until) -> (states, totals); all but arrays and until have an axis of runs.
    """
    all_runs = jax.vmap(run, in_axes=(0, None, 0, None))
    in_specs = (_BY_RUN, _REPLICATED, _BY_RUN, _REPLICATED)
    sharded = jax.shard_map(all_runs, mesh=mesh, in_specs=in_specs, out_specs=_BY_RUN, check_vma=False)
    return jax.jit(sharded, donate_argnums=0)


def threads() -> int:
    """Return how many runs should train at a time on a device: on a CPU the cores, else 1."""
    # Several devices of a CPU share its cores already.
    if jax.default_backend() == "cpu" and len(jax.local_devices()) == 1:
        return report.cores()
    return 1


# --- trees with a leading axis of runs --------------------------------------------------------------------------------


def stack(states: Sequence[Any]) -> Any:
    """Stack trees along a new leading axis of runs.

    Args:
      states: pytrees of the same structure.
    """

    def join(*leaves):
        # Random keys are arrays of JAX, which NumPy cannot stack.
        if isinstance(leaves[0], np.ndarray):
            return np.stack(leaves)
        return jnp.stack(leaves)

    return jax.tree.map(join, *map(on_host, states))


def on_host(tree: Any) -> Any:
    """Copy a tree into NumPy arrays, from which single runs are cheap to take.

    Random keys stay arrays of keys.

    Args:
      tree: pytree of arrays.
    """

    def copy(leaf):
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            # NumPy has no type for random keys, so their data are copied and wrapped again.
            return jax.random.wrap_key_data(np.asarray(jax.random.key_data(leaf)))
        return np.asarray(leaf)

    return jax.tree.map(copy, tree)


def at(stacked: Any, i: int) -> Any:
    """Return the part of a tree that belongs to one run.

    Args:
      stacked: pytree of arrays with a leading axis of runs.
      i: the number of the run.
    """
    return jax.tree.map(lambda leaf: leaf[i], stacked)
