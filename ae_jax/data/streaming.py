"""Data larger than the memory of the devices: the same batches in the same order, read while the devices compute.

A chunk holds some batches in the order in which training takes them, and Grain reads the next ones meanwhile. Which
examples these are follows from the key and the step alone, so that the step is the whole position; a process reads only
those of its own devices.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ae_jax.core.errors import UserError
from ae_jax.core.types import Batch
from ae_jax.data.batching import Batches, permuted
from ae_jax.devices import mesh

_SHARE = 0.5  # of the devices' memory, which resident data may take


def wanted(stream: bool | None, arrays: Mapping[str, Any]) -> bool:
    """Whether to stream these arrays, by the config's data.stream: None leaves it to their size. Raises UserError."""
    if stream not in (None, True, False):
        raise UserError(f"data.stream is {stream!r}\nexpected True, False, or None: as the size of the data asks for")
    total = sum(array.nbytes for array in arrays.values())
    return total > _SHARE * mesh.device_memory() * mesh.size() if stream is None else stream


@dataclasses.dataclass(frozen=True)
class Streamed(Batches):
    """As `Batches`, whose arrays stay where they are, as in a file that is mapped."""

    chunk_bytes: int = 2**26  # what a device gets at a time, at least a batch; three times as much is under way

    in_chunks = True

    @functools.cached_property
    def steps_per_chunk(self) -> int:
        row = sum(array.nbytes // len(array) for array in self.arrays.values())
        fit = self.chunk_bytes * mesh.size() // (row * self.batch_size)
        return max(1, min(fit, self.steps_per_epoch))  # evaluation reads no more than an epoch

    def on_device(self) -> Batches:
        return Batches(self.arrays, self.spec, self.batch_size, self.finish, self.num_examples).on_device()

    def gather(self, arrays: Mapping[str, Any], step: Any, index: Any) -> Batch:
        return {name: values[step % self.steps_per_chunk][: self.batch_size] for name, values in arrays.items()}

    def feed(self, key: Any, start: int) -> Callable[[int, int], Iterator[tuple[Mapping[str, Any], int]]]:
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
        """The chunks from number `first` on, on the devices: {name: [steps, B, ...]}."""
        import grain

        key = None if key is None else np.asarray(jax.random.key_data(key))
        order = functools.lru_cache(maxsize=2)(functools.partial(self._order, key))
        rows = -(-self.batch_size // mesh.size()) * mesh.size()  # of a batch, so that the devices divide them
        read = functools.partial(self._read, mesh.chunk_sharding(), order, rows)
        options = grain.ReadOptions(num_threads=2, prefetch_buffer_size=2)
        return iter(grain.MapDataset.range(first, np.iinfo(np.int32).max).map(read).to_iter_dataset(options))

    def _order(self, key, epoch):
        """[N]: the numbers of the examples in the order of an epoch."""
        if key is None:
            return np.arange(self.num_examples)
        # The devices are busy, and what is asked of them would wait for them.
        with jax.default_device(jax.local_devices(backend="cpu")[0]):
            return np.asarray(_permutation(jax.random.wrap_key_data(key), epoch, self.num_examples))

    def _read(self, sharding, order, rows, number):
        steps = number * self.steps_per_chunk + np.arange(self.steps_per_chunk)
        places = steps[:, None] % self.steps_per_epoch * self.batch_size + np.arange(rows)
        places = np.minimum(places, self.num_examples - 1)
        index = np.stack([order(step // self.steps_per_epoch)[row] for step, row in zip(steps.tolist(), places)])
        return {name: self._place(array, index, sharding) for name, array in self.arrays.items()}

    def _place(self, array, index, sharding):
        if sharding is None:  # and not bound to it: with what is bound the same step would be compiled again
            return jax.device_put(np.asarray(array[index]))
        rows = lambda part: np.asarray(array[index[part[:2]]])
        return jax.make_array_from_callback((*index.shape, *array.shape[1:]), sharding, rows)


@functools.partial(jax.jit, static_argnums=2)
def _permutation(key, epoch, n):
    return permuted(jax.random.fold_in(key, epoch), jnp.arange(n), n)
