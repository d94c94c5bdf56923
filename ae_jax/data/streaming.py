"""Batches of data larger than memory, read while the devices compute.

A chunk holds some batches in the order in which training takes them. Grain reads the next chunks while one is computed
with. Which examples a chunk holds follows from the key and the step alone, so the step is the whole position in the
data. Each process reads only the examples of its own devices.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import numpy as np

from ae_jax.core.errors import UserError
from ae_jax.core.types import Batch
from ae_jax.data import mapped
from ae_jax.data.batching import Batches, permuted
from ae_jax.devices import mesh

# The share of the devices' memory that resident data may take.
# The parameters, the state of the optimiser and the activations need the rest.
_SHARE = 0.5
# A memory-mapped file of more bytes is streamed: the memory of a CPU is the one that mapping the file was to spare.
LARGE_FILE = 2**28


def wanted(stream: bool | None, arrays: Mapping[str, Any]) -> bool:
    """Return whether to stream the arrays of a split.

    Args:
      stream: the config's data.stream. None streams what is mapped from a file of more than `LARGE_FILE` bytes, and
        what would take more than half of the devices' memory.
      arrays: {"x": [N, ...], ...}.

    Raises:
      UserError: data.stream has another value.
    """
    if stream not in (None, True, False):
        raise UserError(
            f"data.stream is {stream!r}\nexpected True, False, or None, which leaves it to the size of the data"
        )
    if stream is not None:
        return stream
    if any(mapped.file_bytes(array) > LARGE_FILE for array in arrays.values()):
        return True
    return sum(array.nbytes for array in arrays.values()) > _SHARE * mesh.device_memory() * mesh.size()


@dataclasses.dataclass(frozen=True)
class Streamed(Batches):
    """Batches whose arrays stay where they are, such as in a file that is mapped.

    Args:
      chunk_bytes: the bytes that a device gets at a time; it gets at least a batch. While one chunk is computed with,
        the next two are read.
    """

    chunk_bytes: int = 2**24

    in_chunks = True

    @functools.cached_property
    def steps_per_chunk(self) -> int:
        """The number of batches in a chunk."""
        row = sum(array.nbytes // len(array) for array in self.arrays.values())
        fit = self.chunk_bytes * mesh.size() // (row * self.batch_size)
        return max(1, min(fit, self.steps_per_epoch))  # evaluation reads no more than an epoch

    def on_device(self) -> Batches:
        """Return resident batches of the same arrays."""
        return Batches(self.arrays, self.spec, self.batch_size, self.finish, self.num_examples).on_device()

    def gather(self, arrays: Mapping[str, Any], step: Any, index: Any) -> Batch:
        """Return the examples of batch number `step` from its chunk.

        Its order is that of `index` already.
        """
        return {name: values[step % self.steps_per_chunk][: self.batch_size] for name, values in arrays.items()}

    def feed(self, key: Any, start: int) -> Callable[[int, int], Iterator[tuple[Mapping[str, Any], int]]]:
        """Return the function (step, target) -> (chunk, until), ...; see `Batches.feed`."""
        # The chunk before the first one counts as the last one used, so that the first step takes the next.
        number, chunk = start // self.steps_per_chunk - 1, None
        chunks = self._chunks(key, number + 1)

        def pieces(step, target):
            nonlocal number, chunk
            while step < target:
                if step // self.steps_per_chunk > number:
                    number, chunk = number + 1, next(chunks)
                step = min((number + 1) * self.steps_per_chunk, target)
                yield chunk, step

        return pieces

    def _chunks(self, key, first):
        """Yield the chunks from number `first` on, on the devices: {name: [steps, B, ...]}."""
        import grain

        # In NumPy the key belongs to no device.
        key = None if key is None else np.asarray(jax.random.key_data(key))
        # Each device gets as many rows of a batch as any other, so some batches get rows that nothing reads. The mesh
        # is asked here, because the threads of Grain have none.
        rows = -(-self.batch_size // mesh.size()) * mesh.size()
        read = functools.partial(self._read, mesh.chunk_sharding(), rows, key)
        # An evaluation is one epoch in stored order, and nothing is read beyond its end.
        last = -(-self.steps_per_epoch // self.steps_per_chunk) if key is None else np.iinfo(np.int32).max
        options = grain.ReadOptions(num_threads=2, prefetch_buffer_size=2)
        return iter(grain.MapDataset.range(first, last).map(read).to_iter_dataset(options))

    def _read(self, sharding, rows, key, number):
        """Return chunk `number` on the devices, its batches of `rows` examples.

        In stored order without a `key`.
        """
        steps = number * self.steps_per_chunk + np.arange(self.steps_per_chunk)
        # A chunk may reach into the next epoch, so each batch has its place in an epoch of its own.
        places = steps[:, None] % self.steps_per_epoch * self.batch_size + np.arange(rows)
        index = np.minimum(places, self.num_examples - 1)
        if key is not None:
            index = self._permuted(key, steps // self.steps_per_epoch, index)
        return {name: self._place(array, index, sharding) for name, array in self.arrays.items()}

    def _permuted(self, key, epochs, index):
        """Return the examples at places `index` [steps, B] of the orders of `epochs` [steps]."""
        # The devices are busy with training, and what they compute here would wait for it.
        with jax.default_device(jax.local_devices(backend="cpu")[0]):
            return np.asarray(_permuted(jax.random.wrap_key_data(key), epochs, index, self.num_examples))

    def _place(self, array, index, sharding):
        """Return the examples number `index` [steps, B] of an array, on the devices."""
        if sharding is None:
            # Leave the array uncommitted: a committed one would recompile the step.
            return jax.device_put(np.asarray(array[index]))

        def read(part):
            return np.asarray(array[index[part[:2]]])

        return jax.make_array_from_callback((*index.shape, *array.shape[1:]), sharding, read)


@functools.partial(jax.jit, static_argnums=3)
def _permuted(key, epochs, index, n):
    def of_one(epoch, index):
        return permuted(jax.random.fold_in(key, epoch), index, n)

    return jax.vmap(of_one)(epochs, index)
