"""Batch number `step` as a pure function of (arrays, key, step): there is no iterator, so nothing of one to save."""

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
_ROUNDING = 1e-5  # by how much values may leave their support, as parts of its width: they come from other arithmetic


def permuted(key: Any, index: Any, n: int) -> Any:
    """Where a pseudo-random permutation of 0 .. n-1, chosen by `key`, sends each `index` (int array, all below n).

    Costs O(len(index)), where a permutation of the whole set costs a sort at every step: a Feistel network over the
    next power of two, walked along its cycle until it falls below n (Black and Rogaway 2002, "Ciphers with arbitrary
    finite domains").
    """
    bits = max((n - 1).bit_length(), 2)
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
    walk = lambda value: jnp.where(value >= n, network(value), value)
    return jax.lax.while_loop(lambda value: jnp.any(value >= n), walk, start).astype(jnp.int32)


def evenly(count: int, n: int) -> np.ndarray:
    """`count` of the numbers 0 .. n-1, evenly spread, since data may be sorted; int [count]."""
    return np.linspace(0, n - 1, count).round().astype(int)


def present(values: Any, spec: DataSpec) -> Any:
    """Stored values as models see them: pixels as value / (levels - 1) in [0, 1], both as float32."""
    values = values.astype(jnp.float32)
    return values / (spec.levels - 1) if spec.kind == "pixels" else values


def outside(values: Any, spec: DataSpec, support: tuple[float, float]) -> str:
    """Say which stored values [N, ...] are not finite numbers of the support (least, greatest), as models see them.

    Returns:
      Words such as "values from -1 to 1"; "" where all are. Nothing is read where their type says enough.
    """
    low, high = support
    if np.issubdtype(values.dtype, np.integer):
        limits = present(np.array([np.iinfo(values.dtype).min, np.iinfo(values.dtype).max]), spec)
        if low <= limits[0] and limits[1] <= high:
            return ""
    least, greatest = present(np.array(mapped.extremes(values)), spec)
    if not (np.isfinite(least) and np.isfinite(greatest)):
        return "NaN or infinity"
    margin = _ROUNDING * (high - low) if np.isfinite(high - low) else 0
    return "" if low - margin <= least and greatest <= high + margin else f"values from {least:g} to {greatest:g}"


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
    found = outside(values, spec, support)
    if found and np.isinf(high):
        raise UserError(f"the {name} split has {found}\nleave out the examples that are not finite")
    if found and spec.kind == "events":
        raise UserError(f"the {name} split has {found}\nexpected whole numbers from {low:g} to {high:g}")
    if found:
        raise UserError(
            f"the {name} split has {found}, and the model's likelihood is for values from {low:g} to {high:g}\n"
            "try --config.model.likelihood=gaussian (in Python likelihood=gaussian.Likelihood), or scale the data"
        )


@dataclasses.dataclass(frozen=True)
class Batches:
    """A split of a data set, cut into batches; the last of an epoch is padded, its "mask" zero there.

    arrays: {"x": [N, *shape], "label"?: [N]}, as stored (uint8 pixels stay uint8 on the device).
    finish: (step, batch) -> batch, applied to each batch when iterated over: binarisation, corruption.
    """

    arrays: Mapping[str, Any]
    spec: DataSpec
    batch_size: int
    finish: Callable[[Any, Batch], Batch] = lambda step, batch: batch
    num_examples: int = 0  # of the rows of the arrays; all of them where it is not said
    training_size: int = 0  # how many examples the training set has; by default as many as these

    in_chunks = False  # whether the steps of a window may need several dispatches

    def __post_init__(self):
        object.__setattr__(self, "num_examples", self.num_examples or len(self.arrays["x"]))
        if not 1 <= self.batch_size <= self.num_examples:
            raise UserError(
                f"batch size {self.batch_size} for {self.num_examples} examples\n"
                f"expected a number from 1 to {self.num_examples}"
            )

    @property
    def steps_per_epoch(self) -> int:
        return -(-self.num_examples // self.batch_size)

    def on_device(self) -> "Batches":
        """The same with its arrays cut over the devices."""
        return dataclasses.replace(self, arrays={name: mesh.put_examples(array) for name, array in self.arrays.items()})

    def feed(self, key: Any, start: int) -> Callable[[int, int], Iterable[tuple[Mapping[str, Any], int]]]:
        """The function (step, target) -> pieces (arrays, until): from which arrays to `take` the batches from `step`,
        which is `start` at first and then the last target, up to number `until`, and on to `target`.

        key: the one that `take` will be given.
        """
        return lambda step, target: [(self._resident.arrays, target)]

    def gather(self, arrays: Mapping[str, Any], step: Any, index: Any) -> Batch:
        """The examples number `index` [B], those of batch number `step`, as stored."""
        return {name: mesh.take_examples(values, index) for name, values in arrays.items()}

    def take(self, arrays: Mapping[str, Any], step: Any, key: Any = None) -> Batch:
        """Batch number `step`, counted through the epochs; in a fresh order each epoch where a `key` is given.

        `arrays` are passed in, so that a compiled program does not hold them as constants.
        """
        n = self.num_examples
        epoch, place = step // self.steps_per_epoch, step % self.steps_per_epoch
        position = mesh.replicate(place * self.batch_size + jnp.arange(self.batch_size))
        index = jnp.minimum(position, n - 1)
        if key is not None:
            index = mesh.replicate(permuted(jax.random.fold_in(key, epoch), index, n))
        batch = self.gather(arrays, step, index)
        x = present(batch["x"], self.spec)
        size = jnp.full(self.batch_size, self.training_size or n, jnp.float32)
        return {**batch, "x": x, "inputs": x, "mask": (position < n).astype(jnp.float32), "num_examples": size}

    def spread(self, count: int) -> tuple["Batches", np.ndarray]:
        """(batches of `count` of these examples, as `evenly` has them, or of all; their numbers)."""
        count = min(count, self.num_examples)
        numbers = evenly(count, self.num_examples)
        return self if count == self.num_examples else self.only(numbers), numbers

    def only(self, numbers: np.ndarray) -> "Batches":
        """Batches of the examples of these `numbers` [N], in this order."""
        arrays = {name: np.asarray(values)[numbers] for name, values in self.arrays.items()}
        size = min(self.batch_size, len(numbers))
        return dataclasses.replace(self, arrays=arrays, batch_size=size, num_examples=len(numbers))

    def __iter__(self) -> Iterator[Batch]:
        """One epoch in stored order, for evaluation."""
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
