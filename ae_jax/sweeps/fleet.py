"""The runs of a program, advanced together, in three ways; on all devices of this machine.

"map" runs one after the other, on each device, through the program that trains a single run, compiled once and called
once a run. So every run ends in the bytes that it has alone, by construction; of a `lax.map` over the runs, which would
be compiled anew for every number of them, one could only observe it. "threads" calls the same program as many times at
once as there are cores: small networks leave most of them idle. "vmap" runs all side by side, in arrays with an axis of
runs that is spread over the devices: what an accelerator likes; sums are then taken in another order, and steps differ
by rounding.
The same bytes, of one run as of many, take the same device: on a CPU also as many cores, by which XLA splits products.
"""

import dataclasses
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent import futures
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from ae_jax.devices import report
from ae_jax.training.step import TrainState

WAYS = ("map", "threads", "vmap")
_RUNS = "runs"  # the axis of the mesh


@dataclasses.dataclass(frozen=True)
class Window:
    """What one run did in one dispatch."""

    step: int
    bad_steps: int  # non-finite ones in a row at its end
    totals: Mapping[str, Any]  # as of `train.make_run`
    seconds: float  # its share


class OneByOne:
    """Every run's state on its own, on one of the devices in turn.

    run: as of `train.compiled_run`; arrays_on: a device or a sharding -> the data there; threads: how many on a device.
    """

    def __init__(self, run: Callable, arrays_on: Callable, states: Sequence[Any], hparams: Sequence[Any], threads: int):
        devices = jax.local_devices()
        self._run, self._lanes = run, len(devices) * threads
        self._devices = [devices[i % len(devices)] for i in range(len(states))]
        self._arrays = {device: arrays_on(device) for device in set(self._devices)}
        self._states = [jax.device_put(*placed) for placed in zip(states, self._devices)]
        self._hparams = [jax.device_put(*placed) for placed in zip(hparams, self._devices)]
        self._compiled = set()

    def advance(self, until: int, going: Sequence[int]) -> Iterable[tuple[int, Window]]:
        """Takes the runs with these numbers up to step number `until`."""
        start, done = time.perf_counter(), {}
        for i in going:  # threads that met a new program together would each compile it
            if self._devices[i] not in self._compiled:
                self._compiled.add(self._devices[i])
                done[i] = self._advance(i, until)
        with futures.ThreadPoolExecutor(self._lanes) as pool:
            rest = [i for i in going if i not in done]
            done |= dict(zip(rest, pool.map(lambda i: self._advance(i, until), rest)))
        share = (time.perf_counter() - start) / len(going)
        return [(i, Window(*done[i], share)) for i in going]

    def _advance(self, i, until):
        arrays = self._arrays[self._devices[i]]
        self._states[i], totals = self._run(self._states[i], arrays, self._hparams[i], jnp.int32(until))
        return int(self._states[i].step), int(self._states[i].bad_steps), jax.device_get(totals)

    def state(self, i: int) -> TrainState:
        return self._states[i]

    def stacked(self) -> TrainState:
        """All states, with an axis of runs in front."""
        return stack(self._states)


class SideBySide:
    """All states in arrays with an axis of runs in front, of which each device holds a part.

    run_on: mesh -> what `side_by_side` makes; arrays_on: as of `OneByOne`.
    """

    def __init__(self, run_on: Callable, arrays_on: Callable, states: Sequence[Any], hparams: Sequence[Any]):
        devices = jax.local_devices()[: len(states)]
        mesh = Mesh(devices, (_RUNS,))
        self._count, filled = len(states), -len(states) % len(devices)  # the last run, again
        join = lambda trees: stack([*trees, *[trees[-1]] * filled])
        spread = lambda tree: jax.device_put(jax.tree.map(jnp.copy, tree), NamedSharding(mesh, PartitionSpec(_RUNS)))
        self._run, self._arrays = run_on(mesh), arrays_on(NamedSharding(mesh, PartitionSpec()))
        self._states, self._hparams = spread(join(states)), spread(join(hparams))

    def advance(self, until: int, going: Sequence[int]) -> Iterable[tuple[int, Window]]:
        """Takes all runs that did not fail up to step number `until`; answers for those with these numbers."""
        start = time.perf_counter()
        self._states, totals = self._run(self._states, self._arrays, self._hparams, jnp.int32(until))
        step, bad_steps, totals = jax.device_get((self._states.step, self._states.bad_steps, totals))
        share = (time.perf_counter() - start) / len(going)
        self._here = None
        return [(i, Window(int(step[i]), int(bad_steps[i]), at(totals, i), share)) for i in going]

    def state(self, i: int) -> TrainState:
        self._here = on_host(self._states) if self._here is None else self._here
        return at(self._here, i)

    def stacked(self) -> TrainState:
        """All states, with an axis of runs in front."""
        return jax.tree.map(lambda leaf: leaf[: self._count], self._states)


def side_by_side(run: Callable, mesh: Mesh) -> Callable:
    """`train.make_run` of all runs at once, jitted; the devices of the mesh, each with its part, never wait for others.

    The states passed in are donated.
    """
    spread, whole = PartitionSpec(_RUNS), PartitionSpec()
    many = jax.vmap(run, in_axes=(0, None, 0, None))
    specs = {"in_specs": (spread, whole, spread, whole), "out_specs": spread}
    return jax.jit(jax.shard_map(many, mesh=mesh, **specs, check_vma=False), donate_argnums=0)


def threads() -> int:
    """How many runs may be under way on one device: as many as cores, where the device is made of them."""
    return report.cores() if jax.default_backend() == "cpu" and len(jax.local_devices()) == 1 else 1


def stack(states: Sequence[Any]) -> Any:
    """One tree with an axis of runs in front of every leaf."""

    join = lambda *leaves: np.stack(leaves) if isinstance(leaves[0], np.ndarray) else jnp.stack(leaves)
    return jax.tree.map(join, *map(on_host, states))


def on_host(tree: Any) -> Any:
    """The same in memory where taking single runs out is cheap. Keys stay what they are."""
    is_key = lambda leaf: jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    as_array = lambda leaf: jax.random.wrap_key_data(np.asarray(jax.random.key_data(leaf)))
    return jax.tree.map(lambda leaf: as_array(leaf) if is_key(leaf) else np.asarray(leaf), tree)


def at(stacked: Any, i: int) -> Any:
    """What belongs to run number `i`, of a tree with an axis of runs in front of every leaf."""
    return jax.tree.map(lambda leaf: leaf[i], stacked)
