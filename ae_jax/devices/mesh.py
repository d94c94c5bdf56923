"""The mesh of devices that compute a run together, and how arrays are placed on it.

Inside `over(...)` JAX has an ambient mesh with the axes "data" and "fsdp". Every function that is jitted there runs on
all devices of the mesh, and its arrays are global. Batches are sharded by example over both axes. States are
replicated along "data" and sharded along "fsdp" (the third stage of ZeRO, Rajbhandari et al. 2020, arXiv:1910.02054).
Without a mesh, or on a single device, the functions that place arrays return them unchanged.
"""

import contextlib
import math
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental.layout import Layout, with_layout_constraint
from jax.sharding import AxisType, PartitionSpec

from ae_jax.core.errors import UserError

AXES = ("data", "fsdp")
# Arrays of fewer numbers are replicated: gathering them takes longer than their memory is worth.
_SMALL = 4096

_BY_EXAMPLE = PartitionSpec(AXES)
_REPLICATED = PartitionSpec()


# --- the mesh ---------------------------------------------------------------------------------------------------------


def shape(data: int, fsdp: int, devices: int) -> tuple[int, int]:
    """Return the sizes of the mesh axes "data" and "fsdp".

    Args:
      data: number of devices along "data"; -1 stands for as many as "fsdp" leaves.
      fsdp: number of devices along "fsdp"; -1 stands for as many as "data" leaves.
      devices: number of all devices.

    Raises:
      UserError: if a size is neither positive nor -1, if both are -1, if the mesh needs more devices than there are,
        or if the other size does not divide the devices beside a -1.
    """
    asked = f"mesh.data={data}, mesh.fsdp={fsdp}"
    there = f"{devices} device{'s' * (devices > 1)}"
    valid = all(isinstance(size, int) and (size >= 1 or size == -1) for size in (data, fsdp))
    if not valid or data == fsdp == -1:
        raise UserError(f"{asked}: sizes of a mesh are numbers of devices\nuse numbers from 1; one may be -1: the rest")
    rest = devices // max(data, fsdp)
    sizes = (rest if data == -1 else data, rest if fsdp == -1 else fsdp)
    if 0 in sizes or math.prod(sizes) > devices:
        raise UserError(f"{asked} is a mesh larger than the {there} here\nuse --config.mesh.data=-1, or smaller sizes")
    if -1 in (data, fsdp) and math.prod(sizes) != devices:
        raise UserError(f"{asked} leaves some of the {there} here unused\nuse a divisor of {devices} beside the -1")
    return sizes


@contextlib.contextmanager
def over(data: int = -1, fsdp: int = 1) -> Iterator[None]:
    """Set the ambient mesh to the first `data` times `fsdp` devices, within a `with` statement.

    Args:
      data: number of devices along "data", as for `shape`.
      fsdp: number of devices along "fsdp", as for `shape`.

    Raises:
      UserError: if `shape` refuses the sizes, or if the mesh leaves a process without a device.
    """
    devices = jax.devices()
    sizes = shape(data, fsdp, len(devices))
    used = devices[: math.prod(sizes)]
    # A process whose devices are all outside the mesh could not take part in its computations.
    idle = {device.process_index for device in devices} - {device.process_index for device in used}
    if idle:
        raise UserError(
            f"mesh.data={data}, mesh.fsdp={fsdp} leaves process {min(idle)} without a device\n"
            f"use all devices: sizes with the product {len(devices)}, or -1"
        )
    if len(used) == 1:
        yield
    else:
        with jax.set_mesh(jax.make_mesh(sizes, AXES, (AxisType.Auto,) * 2, devices=used)):
            yield


def size() -> int:
    """Return the number of devices in the ambient mesh, or 1 without one."""
    # The mesh of a sweep has an axis of runs (see ae_jax/sweeps/fleet.py), over which no array of a run is sharded.
    sizes = jax.sharding.get_abstract_mesh().shape
    return math.prod(sizes.get(axis, 1) for axis in AXES)


def check_batch(batch_size: int) -> None:
    """Check that the number of devices divides the batch size.

    Args:
      batch_size: number of examples in a batch.

    Raises:
      UserError: if it does not; the message names the nearest batch sizes that it divides.
    """
    rest = batch_size % size()
    if rest:
        multiples = [str(n) for n in (batch_size - rest, batch_size - rest + size()) if n]
        raise UserError(
            f"train.batch_size={batch_size} is not a multiple of the {size()} devices\n"
            f"use {' or '.join(multiples)}, or fewer devices: --config.mesh.data"
        )


def device_memory() -> int:
    """Return the memory of a device, in bytes."""
    statistics = jax.local_devices()[0].memory_stats() or {}
    # A CPU gives no statistics: its devices share the memory of the machine.
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return statistics.get("bytes_limit") or machine // len(jax.local_devices())


# --- inside jitted functions ------------------------------------------------------------------------------------------


def shard(tree: Any) -> Any:
    """Shard arrays by example, inside a jitted function.

    Args:
      tree: pytree of arrays [B, ...]. The number of devices need not divide B.
    """
    return _constrain(tree, lambda leaf: _BY_EXAMPLE)


def replicate(tree: Any) -> Any:
    """Replicate arrays on all devices, inside a jitted function.

    Every process can then read them.

    Args:
      tree: pytree of arrays.
    """
    return _constrain(tree, lambda leaf: _REPLICATED)


def shard_state(state: Any) -> Any:
    """Shard arrays that are kept between steps along "fsdp", inside a jitted function.

    Args:
      state: pytree of arrays, such as the parameters.
    """
    return _constrain(state, lambda leaf: _state_spec(leaf.shape))


def shard_grads(grads: Any) -> Any:
    """Shard gradients, summed over the devices, like the parameters, inside a jitted function.

    Args:
      grads: pytree of arrays with the shapes of the parameters.
    """
    if size() == 1:
        return grads

    def shard_leaf(leaf):
        spec = _state_spec(leaf.shape)
        return jax.shard_map(_fix_layout, in_specs=spec, out_specs=spec)(leaf)

    return jax.tree.map(shard_leaf, grads)


def _fix_layout(part: Any) -> Any:
    """Store an array in row-major order on CPUs; leave it as it is on other platforms."""

    def row_major(part):
        return with_layout_constraint(part, Layout(tuple(range(part.ndim))))

    # The sum over devices stands between the matrix product that makes a gradient and the transposition of it.
    # Without a fixed layout XLA:CPU repeats the transposition for every use of the gradient.
    return jax.lax.platform_dependent(part, cpu=row_major, default=lambda part: part)


def map_examples(function: Callable, shared: Any, examples: Any) -> Any:
    """Apply a function to the examples of each device, inside a jitted function.

    The function may go through its examples one by one. Without this, every device would go through all examples.

    Args:
      function: maps (shared, part of the examples) to a pytree of arrays with as many rows as its part.
      shared: pytree that every call receives as it is.
      examples: pytree of arrays [B, ...]. The number of devices need not divide B.

    Returns:
      The results for all examples: a pytree of arrays [B, ...].
    """
    if size() == 1:
        return function(shared, examples)
    count = len(jax.tree.leaves(examples)[0])
    # shard_map needs equal parts: the last example is repeated, and its copies are dropped again below.
    rows = -(-count // size()) * size()
    index = jnp.minimum(jnp.arange(rows), count - 1)
    padded = jax.tree.map(lambda leaf: leaf[index], examples)
    mapped = jax.shard_map(function, in_specs=(_REPLICATED, _BY_EXAMPLE), out_specs=_BY_EXAMPLE, check_vma=False)
    return jax.tree.map(lambda leaf: leaf[:count], mapped(shared, padded))


def _constrain(tree, spec_of):
    """Constrain every leaf of a pytree to the sharding that `spec_of(leaf)` returns."""
    if size() == 1:
        return tree

    def constrain(leaf):
        return jax.lax.with_sharding_constraint(leaf, spec_of(leaf))

    return jax.tree.map(constrain, tree)


def _state_spec(shape: Sequence[int]) -> PartitionSpec:
    """Return how an array of a state is sharded: along its first axis that "fsdp" divides.

    An array without such an axis is replicated, and so is a small one.
    """
    parts = dict(zip(AXES, jax.sharding.get_abstract_mesh().axis_sizes))["fsdp"]
    # The first axis is the best one: its parts are contiguous in memory, and are joined without copies.
    divided = [axis for axis, length in enumerate(shape) if length % parts == 0]
    if parts == 1 or not divided or math.prod(shape) < _SMALL:
        return _REPLICATED
    return PartitionSpec(*(None,) * divided[0], "fsdp")


# --- placing arrays from the host -------------------------------------------------------------------------------------


def state_sharding(shape: Sequence[int]) -> jax.sharding.Sharding:
    """Return the sharding of an array of a state.

    Args:
      shape: the shape of the global array.
    """
    if size() == 1:
        return jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    return jax.sharding.NamedSharding(jax.sharding.get_mesh(), _state_spec(shape))


def chunk_sharding() -> jax.sharding.Sharding | None:
    """Return the sharding by example of chunks [steps, B, ...]; None on a single device."""
    if size() == 1:
        return None
    return jax.sharding.NamedSharding(jax.sharding.get_mesh(), PartitionSpec(None, AXES))


def put_examples(array: Any) -> jax.Array:
    """Put an array of examples on the devices, sharded by example.

    A process reads only the examples of its own devices.

    Args:
      array: array [N, ...] on the host, which may be memory-mapped.

    Returns:
      Array [M, ...], where M is the smallest multiple of the number of devices from N on; zeros follow the examples.
    """
    if size() == 1:
        return jax.device_put(np.asarray(array))
    padded = -(-len(array) // size()) * size()

    def read(index):
        # `index` is a tuple of slices, of which the first may reach beyond the end of the array.
        rows = np.asarray(array[index[0]])
        missing = len(range(*index[0].indices(padded))) - len(rows)
        return np.pad(rows, [(0, missing), *[(0, 0)] * (rows.ndim - 1)])

    sharding = jax.sharding.NamedSharding(jax.sharding.get_mesh(), _BY_EXAMPLE)
    return jax.make_array_from_callback((padded, *array.shape[1:]), sharding, read)


def take_examples(array: jax.Array, index: jax.Array) -> jax.Array:
    """Select examples by number, inside a jitted function.

    Args:
      array: array [M, ...] that `put_examples` placed.
      index: integers [B].

    Returns:
      Array [B, ...]: sharded by example if the number of devices divides B, else replicated.
    """
    if size() == 1:
        return array[index]
    # If the devices divide the batch, each of them receives only the examples with which it will compute.
    even = len(index) % size() == 0

    def collect(part, index):
        # Each device contributes the examples that it holds. The others are zeros in the sum over devices.
        place = index - jax.lax.axis_index(AXES) * len(part)
        mine = ((place >= 0) & (place < len(part))).reshape(-1, *(1,) * (part.ndim - 1))
        share = jnp.where(mine, part[place % len(part)], 0)
        if even:
            return jax.lax.psum_scatter(share, AXES, tiled=True)
        return jax.lax.psum(share, AXES)

    out_spec = _BY_EXAMPLE if even else _REPLICATED
    return jax.shard_map(collect, in_specs=(_BY_EXAMPLE, _REPLICATED), out_specs=out_spec)(array, index)
