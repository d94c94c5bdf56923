"""The devices that compute a run together, and how its arrays lie on them.

Within `over(...)` there is an ambient mesh: whatever is compiled is one program for all its devices, on arrays that are
global. A batch is cut along its examples over all of them; a state lies whole on each row of devices along "data" and
is cut along "fsdp" (the third stage of Rajbhandari et al. 2020, "ZeRO", arXiv:1910.02054). Without a mesh, and on a
single device, all functions here leave what they get as it is.
"""

import contextlib
import math
import os
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental.layout import Layout, with_layout_constraint
from jax.sharding import AxisType, PartitionSpec

from ae_jax.core.errors import UserError

AXES = ("data", "fsdp")
_SMALL = 4096  # numbers


def shape(data: int, fsdp: int, devices: int) -> tuple[int, int]:
    """The sizes of both axes; -1 stands for as many as the other leaves. Raises UserError beyond so many devices."""
    asked, there = f"mesh.data={data}, mesh.fsdp={fsdp}", f"{devices} device{'s' * (devices > 1)}"
    if any(not isinstance(size, int) or size < -1 or not size for size in (data, fsdp)) or data == fsdp == -1:
        raise UserError(f"{asked}\nexpected numbers of devices from 1 on, of which one may be -1: all that are there")
    sizes = [devices // max(data, fsdp) if size == -1 else size for size in (data, fsdp)]
    if 0 in sizes or math.prod(sizes) > devices:
        raise UserError(f"{asked} is a mesh larger than the {there} here\ntry --config.mesh.data=-1, or smaller sizes")
    if -1 in (data, fsdp) and math.prod(sizes) != devices:
        raise UserError(f"{asked} of {there}\nexpected a divisor of {devices} beside the -1")
    return tuple(sizes)


@contextlib.contextmanager
def over(data: int = -1, fsdp: int = 1):
    """A context in which programs are compiled for `data` times `fsdp` devices, the first ones there are.

    Raises UserError for a mesh larger than the devices, or one that leaves a process without any.
    """
    sizes, devices = shape(data, fsdp, jax.device_count()), jax.devices()
    used = devices[: math.prod(sizes)]
    if idle := {device.process_index for device in devices} - {device.process_index for device in used}:
        raise UserError(
            f"mesh.data={data}, mesh.fsdp={fsdp} leaves process {min(idle)} without a device\n"
            f"expected as many as there are, {len(devices)}, or -1"
        )
    if len(used) == 1:
        yield
    else:
        with jax.set_mesh(jax.make_mesh(sizes, AXES, (AxisType.Auto,) * 2, devices=used)):
            yield


def size() -> int:
    """The number of devices that compute together."""
    sizes = jax.sharding.get_abstract_mesh().shape  # of a sweep's, the axis is another
    return math.prod(sizes.get(axis, 1) for axis in AXES)


def check_batch(batch_size: int) -> None:
    """Raises UserError unless the devices divide the batch."""
    if batch_size % size():
        multiples = [n for n in (batch_size - batch_size % size(), batch_size - batch_size % size() + size()) if n]
        raise UserError(
            f"train.batch_size={batch_size} is not divided by {size()} devices\n"
            f"expected a multiple, as {' or '.join(map(str, multiples))}; or fewer devices: --config.mesh.data"
        )


def spread(tree: Any) -> Any:
    """In a program: arrays cut along their first axis, that of the examples, over all devices, evenly or not."""
    return _constrained(tree, lambda leaf: PartitionSpec(AXES))


def whole(tree: Any) -> Any:
    """In a program: arrays that every device has whole, so that every process can read them."""
    return _constrained(tree, lambda leaf: PartitionSpec())


def settled(state: Any) -> Any:
    """In a program: parameters and what else is kept between steps, cut along "fsdp"."""
    return _constrained(state, lambda leaf: _cut(leaf.shape))


def summed(grads: Any) -> Any:
    """In a program: gradients, once they are added up over the devices, cut as the parameters are.

    The sum comes between a matrix product and its transposition, which XLA:CPU then does again for each use of a
    gradient, unless it is said how the transposed one lies in memory: row by row.
    """
    if size() == 1:
        return grads
    lie = lambda part: with_layout_constraint(part, Layout(tuple(range(part.ndim))))
    rows_first = lambda part: jax.lax.platform_dependent(part, cpu=lie, default=lambda part: part)
    cut = lambda leaf: jax.shard_map(rows_first, in_specs=_cut(leaf.shape), out_specs=_cut(leaf.shape))(leaf)
    return jax.tree.map(cut, grads)


def by_example(function: Callable, shared: Any, examples: Any) -> Any:
    """In a program: `function(shared, examples)`, which goes through the rows of a tree of arrays [B, ...] one by one
    and answers such a tree: each device goes through its own; else all devices would go through every row.
    """
    if size() == 1:
        return function(shared, examples)
    count = len(jax.tree.leaves(examples)[0])
    padded = jnp.minimum(jnp.arange(-(-count // size()) * size()), count - 1)
    specs = {"in_specs": (PartitionSpec(), PartitionSpec(AXES)), "out_specs": PartitionSpec(AXES)}
    found = jax.shard_map(function, **specs, check_vma=False)(shared, jax.tree.map(lambda leaf: leaf[padded], examples))
    return jax.tree.map(lambda leaf: leaf[:count], found)


def _constrained(tree, spec):
    if size() == 1:
        return tree
    return jax.tree.map(lambda leaf: jax.lax.with_sharding_constraint(leaf, spec(leaf)), tree)


def _cut(shape: Sequence[int]) -> PartitionSpec:
    """The first axis that "fsdp" divides is cut: parts that are whole rows are put together without copies.

    An array without such an axis stays whole, and a small one, which takes longer to gather than it saves.
    """
    parts = dict(zip(AXES, jax.sharding.get_abstract_mesh().axis_sizes))["fsdp"]
    divided = [axis for axis, length in enumerate(shape) if length % parts == 0]
    if parts == 1 or not divided or math.prod(shape) < _SMALL:
        return PartitionSpec()
    return PartitionSpec(*(None,) * divided[0], "fsdp")


def sharding(shape: Sequence[int]) -> Any:
    """Where an array of a state lies, of this shape."""
    if size() == 1:
        return jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    return jax.sharding.NamedSharding(jax.sharding.get_mesh(), _cut(shape))


def sharding_of_chunks() -> Any:
    """Where chunks of batches [steps, B, ...] lie: each batch cut along its examples; None: on the only device."""
    if size() == 1:
        return None
    return jax.sharding.NamedSharding(jax.sharding.get_mesh(), PartitionSpec(None, AXES))


def device_memory() -> int:
    """Bytes of memory that a device has; its share of the machine's, where it does not say."""
    stats = jax.local_devices()[0].memory_stats() or {}
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return stats.get("bytes_limit") or machine // len(jax.local_devices())


def put_rows(array: Any) -> Any:
    """An array [N, ...] on the devices, each with as many of its rows as any other: zeros follow the last.

    A process reads only the rows of its own devices.
    """
    if size() == 1:
        return jax.device_put(np.asarray(array))
    padded = -(-len(array) // size()) * size()

    def read(index):
        rows = np.asarray(array[index[0]])
        missing = len(range(*index[0].indices(padded))) - len(rows)
        return np.pad(rows, [(0, missing), *[(0, 0)] * (rows.ndim - 1)])

    placed = jax.sharding.NamedSharding(jax.sharding.get_mesh(), PartitionSpec(AXES))
    return jax.make_array_from_callback((padded, *array.shape[1:]), placed, read)


def rows(array: Any, index: Any) -> Any:
    """In a program: the rows number `index` [B] of what `put_rows` placed."""
    if size() == 1:
        return array[index]

    def found(part, index):
        """Each device contributes the rows that it has, the others are zeros in the sum."""
        place = index - jax.lax.axis_index(AXES) * len(part)
        mine = ((place >= 0) & (place < len(part))).reshape(-1, *(1,) * (part.ndim - 1))
        share = jnp.where(mine, part[place % len(part)], 0)
        return jax.lax.psum_scatter(share, AXES, tiled=True) if even else jax.lax.psum(share, AXES)

    even = len(index) % size() == 0  # then each device gets only the rows that it will compute with
    specs, result = (PartitionSpec(AXES), PartitionSpec()), PartitionSpec(AXES if even else None)
    return jax.shard_map(found, in_specs=specs, out_specs=result)(array, index)
