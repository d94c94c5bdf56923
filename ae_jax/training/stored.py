"""The form in which checkpoints store a training state: plain arrays, with a checksum."""

import zlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ae_jax.devices import processes
from ae_jax.training.step import TrainState


def to_arrays(state: TrainState) -> dict[str, Any]:
    """Return the state as a dict of plain arrays: Orbax cannot store typed random keys.

    Args:
      state: a state of arrays, or of `jax.ShapeDtypeStruct`.
    """
    fields = {name: getattr(state, name) for name in TrainState.__dataclass_fields__}
    if isinstance(state.key, jax.ShapeDtypeStruct):
        return {**fields, "key": jax.eval_shape(jax.random.key_data, state.key)}
    return {**fields, "key": jax.random.key_data(state.key)}


def from_arrays(fields: dict[str, Any]) -> TrainState:
    """Return the state of a dict of arrays.

    Args:
      fields: a dict as `to_arrays` returns it.
    """
    return TrainState(**{**fields, "key": jax.random.wrap_key_data(jnp.asarray(fields["key"]))})


def checksum(tree: Any) -> int:
    """Return the CRC-32 of all arrays of a pytree, in the order of its leaves.

    Args:
      tree: a pytree of arrays.
    """
    crc = 0
    for leaf in jax.tree.leaves(tree):
        contiguous: Any = np.ascontiguousarray(processes.on_host(leaf))
        crc = zlib.crc32(contiguous, crc)
    return crc
