"""Batches of a split, pure functions of (arrays, key, step): no iterator's state is saved."""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ae_jax.core.errors import UserError
from ae_jax.core.types import Batch, DataSpec
from ae_jax.data import mapped
from ae_jax.devices import mesh

_ROUNDS = 6
# How far values may lie outside their support, as a share of its width: another library's arithmetic rounds otherwise.
_ROUNDING = 1e-5


def permuted(key: Any, index: Any, n: int) -> Any:
    """Return where a pseudo-random permutation of 0 .. n-1 sends each index.

    The cost is O(len(index)), where sorting random numbers would cost a sort of the whole set at every step. The
    permutation is a Feistel network over the next power of two. Its cycle is followed until the value is below n (Black
    and Rogaway 2002, "Ciphers with arbitrary finite domains").

    Args:
      key: the random key that chooses the permutation.
      index: integers below n, of any shape.
      n: how many numbers are permuted.
    """
    bits = max((n - 1).bit_length(), 2)
    # The halves may differ by one bit. Each round can be undone all the same, so the network stays a permutation.
    low = bits // 2
    high_mask, low_mask = (1 << (bits - low)) - 1, (1 << low) - 1
    round_keys = jax.random.bits(key, (_ROUNDS, 2), jnp.uint32)

    def scramble(value, round_key):
        value = (value ^ round_key) * jnp.uint32(0x85EBCA6B)
        value = (value ^ (value >> 13)) * jnp.uint32(0xC2B2AE35)
        return value ^ (value >> 16)

    def network(value):
        high, low_bits = value >> low, value & low_mask
        for high_key, low_key in round_keys:
            high ^= scramble(low_bits, high_key) & high_mask
            low_bits ^= scramble(high, low_key) & low_mask
        return (high << low) | low_bits

    start = network(index.astype(jnp.uint32))

    def any_outside(value):
        return jnp.any(value >= n)

    def walk(value):
        return jnp.where(value >= n, network(value), value)

    return jax.lax.while_loop(any_outside, walk, start).astype(jnp.int32)


def evenly(count: int, n: int) -> np.ndarray:
    """Return `count` of the numbers 0 to n-1 at even distances; int [count]."""
    # The first ones would be of one class where the data are sorted.
    return np.linspace(0, n - 1, count).round().astype(int)


def present(values: Any, spec: DataSpec) -> Any:
    """Return stored values as models see them, float32; pixels become value / (levels - 1)."""
    values = values.astype(jnp.float32)
    return values / (spec.levels - 1) if spec.kind == "pixels" else values


def outside(values: Any, spec: DataSpec, support: tuple[float, float]) -> str:
    """Describe which stored values are not finite numbers of the support, as models see them.

    The values are read only where neither their type nor an earlier pass over their file says enough.

    Args:
      values: [N, ...], as stored.
      spec: what they are.
      support: the least and the greatest value that has a likelihood.

    Returns:
      Words such as "values from -1 to 1"; "" where all values are of the support.
    """
    known = mapped.bounds(values)
    if known and _within(present(np.array(known), spec), support):
        return ""
    least, greatest = present(np.array(mapped.extremes(values)), spec)
    if not (np.isfinite(least) and np.isfinite(greatest)):
        return "NaN or infinity"
    if spec.kind in ("events", "tokens") and not mapped.are_whole(values):
        return "values that are not whole numbers"
    return "" if _within((least, greatest), support) else f"values from {least:g} to {greatest:g}"


def _within(values: Any, support: tuple[float, float]) -> bool:
    """Return whether (least, greatest) are finite and in the support, but for rounding."""
    (least, greatest), (low, high) = values, support
    margin = _ROUNDING * (high - low) if np.isfinite(high - low) else 0
    are_finite = np.isfinite(least) and np.isfinite(greatest)
    return bool(are_finite and low - margin <= least and greatest <= high + margin)


def check_support(values: Any, spec: DataSpec, support: tuple[float, float], name: str = "train") -> None:
    """Check before training that each stored value [N, ...] of a split has a likelihood.

    Args:
      values: the examples as stored.
      spec: what they are.
      support: the least and the greatest value that has one, as models see it.
      name: the split.

    Raises:
      UserError: some have none; the message names their range, and what to do.
    """
    low, high = support
    if not (found := outside(values, spec, support)):
        return
    if np.isinf(high) and np.isinf(low):
        raise UserError(f"the {name} split has {found}\nleave out the examples that are not finite")
    if spec.kind in ("events", "tokens"):
        raise UserError(f"the {name} split has {found}\nexpected whole numbers from {low:g} to {high:g}")
    if spec.mean:
        remedy = "--config.data.clip=True moves those outside of the training split's range to its ends, or try"
    else:
        remedy = "scale the data: --config.data.scale=minmax, or try"
    raise UserError(
        f"the {name} split has {found}, and the model's likelihood is for values from {low:g} to {high:g}\n"
        f"{remedy} --config.model.likelihood=gaussian (in Python likelihood=gaussian.Likelihood)"
    )


def describe_range(values: Any, spec: DataSpec) -> str:
    """Describe the range of stored values, and what may help a training that failed."""
    least, greatest = present(np.array(mapped.extremes(values)), spec)
    scaling = "--config.data.scale=standardize, or " * (spec.kind == "reals" and not spec.mean)
    remedy = f"try {scaling}a smaller --config.optimizer.learning_rate"
    return f"the training data have values from {least:g} to {greatest:g}: {remedy}"


def by_example(function: Callable) -> Callable:
    """Return a function of (batch, keys [B]) that gives each example a call with its own key.

    Args:
      function: maps a batch of one example and a key to a pytree of arrays [1, ...].
    """

    def one(example, key):
        alone = function(jax.tree.map(lambda leaf: leaf[None], example), key)
        return jax.tree.map(lambda leaf: leaf[0], alone)

    return jax.vmap(one)


@functools.partial(jax.jit, static_argnums=2)
def keys_of_examples(key: Any, first: Any, count: int) -> Any:
    """Return the keys [count] of the examples number `first`, `first` + 1, ...

    An example has the same key whatever the batch is that it comes in.
    """
    return jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, first + jnp.arange(count))


def keyed(prepare: Callable[[Batch, Any], Batch], key: Any) -> Callable[[Any, Batch], Batch]:
    """Return the function (step, batch) -> batch that prepares each example by its own key.

    Args:
      prepare: the function (batch, key) -> batch that binarises, dequantises and corrupts.
      key: random key.
    """

    def finish(step, batch):
        size = len(batch["x"])
        return by_example(prepare)(batch, keys_of_examples(key, step * size, size))

    return finish


@dataclasses.dataclass(frozen=True)
class Batches:
    """A split of a data set, cut into batches.

    The last batch of an epoch is padded; its "mask" is 0 there.

    Args:
      arrays: {"x": [N, *shape], "label"?: [N]}, as stored. Pixels in uint8 stay uint8 on the device.
      spec: what one example looks like.
      batch_size: B, the number of examples in a batch.
      finish: the function (step, batch) -> batch that is applied to each batch of an iteration: binarisation,
        corruption.
      num_examples: how many of the rows of the arrays are examples; 0 stands for all of them.
      training_size: how many examples the training set has; 0 stands for as many as these.
    """

    arrays: Mapping[str, Any]
    spec: DataSpec
    batch_size: int
    finish: Callable[[Any, Batch], Batch] = lambda step, batch: batch
    num_examples: int = 0
    training_size: int = 0

    # Whether the steps between two logged ones may need several dispatches.
    in_chunks = False

    def __post_init__(self):
        """Check the batch size. Raise UserError where it is larger than the split."""
        object.__setattr__(self, "num_examples", self.num_examples or len(self.arrays["x"]))
        if not 1 <= self.batch_size <= self.num_examples:
            raise UserError(
                f"batch size {self.batch_size} for {self.num_examples} examples\n"
                f"expected a number from 1 to {self.num_examples}"
            )

    @property
    def steps_per_epoch(self) -> int:
        """The number of batches in an epoch."""
        return -(-self.num_examples // self.batch_size)

    def on_device(self) -> "Batches":
        """Return the same batches with their arrays on the devices, sharded by rows."""
        return dataclasses.replace(self, arrays={name: mesh.put_examples(array) for name, array in self.arrays.items()})

    def feed(self, key: Any, start: int) -> Callable[[int, int], Iterable[tuple[Mapping[str, Any], int]]]:
        """Return the function (step, target) -> [(arrays, until), ...] that serves batches.

        The batches from number `step` up to `until` are to be taken from the first arrays, those from there up to the
        next `until` from the next arrays, and so on up to `target`.

        Args:
          key: the key that `take` will be given. Without one, a single epoch is served.
          start: the number of the first batch: `step` in the first call. It is the last target in each later call.
        """
        return lambda step, target: [(self._resident.arrays, target)]

    def gather(self, arrays: Mapping[str, Any], step: Any, index: Any) -> Batch:
        """Return the examples number `index` [B], which are those of batch number `step`, as stored."""
        return {name: mesh.take_examples(values, index) for name, values in arrays.items()}

    def take(self, arrays: Mapping[str, Any], step: Any, key: Any = None) -> Batch:
        """Return batch number `step`, counted through the epochs.

        Args:
          arrays: those of `on_device` or `feed`. They are arguments, so that no compiled program holds them as
            constants.
          step: the number of the batch.
          key: the random key of the order, which is another one in each epoch. By default the stored order is kept.
        """
        n = self.num_examples
        epoch, place = step // self.steps_per_epoch, step % self.steps_per_epoch
        position = mesh.replicate(place * self.batch_size + jnp.arange(self.batch_size))
        # Padding repeats the last example, because the shapes of a compiled step are fixed. The mask leaves it out.
        index = jnp.minimum(position, n - 1)
        if key is not None:
            index = mesh.replicate(permuted(jax.random.fold_in(key, epoch), index, n))
        batch = self.gather(arrays, step, index)
        x = present(batch["x"], self.spec)
        size = jnp.full(self.batch_size, self.training_size or n, jnp.float32)
        return {**batch, "x": x, "inputs": x, "mask": (position < n).astype(jnp.float32), "num_examples": size}

    def spread(self, count: int) -> tuple["Batches", np.ndarray]:
        """Return batches of `count` of these examples at even distances, and their numbers."""
        count = min(count, self.num_examples)
        numbers = evenly(count, self.num_examples)
        return self if count == self.num_examples else self.only(numbers), numbers

    def only(self, numbers: np.ndarray) -> "Batches":
        """Return batches of some of these examples, in memory.

        Args:
          numbers: int [N], the numbers of the examples, in the order of the batches.
        """
        arrays = {name: _in_memory(values, numbers) for name, values in self.arrays.items()}
        size = min(self.batch_size, len(numbers))
        return dataclasses.replace(self, arrays=arrays, batch_size=size, num_examples=len(numbers))

    def __iter__(self) -> Iterator[Batch]:
        """Yield the batches of one epoch in stored order, for evaluation."""
        feed = self.feed(None, 0)
        for step in range(self.steps_per_epoch):
            for arrays, _ in feed(step, step + 1):
                yield self._take(arrays, jnp.int32(step))

    @functools.cached_property
    def _resident(self) -> "Batches":
        return self.on_device()

    @functools.cached_property
    def _take(self):
        return jax.jit(lambda arrays, step: mesh.replicate(self.finish(step, self.take(arrays, step))))


def _in_memory(values: Any, numbers: np.ndarray) -> np.ndarray:
    """Return the rows `numbers` [N] of an array; only these are read of a mapped one."""
    values = values if isinstance(values, mapped.Rows) else np.asarray(values)
    return np.asarray(values[numbers])
