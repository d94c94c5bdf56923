"""Finite scalar quantization: round each number of a vector to one of a few levels.

It needs no codebook.

Mentzer et al. 2023, "Finite scalar quantization: VQ-VAE made simple", arXiv:2309.15505.
"""

import math

import jax.numpy as jnp
import numpy as np

from ae_jax.core.errors import UserError
from ae_jax.core.forms import Sizes
from ae_jax.models.quantizers import Quantized, gradients, projected

_MARGIN = 1e-3
_LARGEST = 2**31 - 1  # indices are int32


class Quantizer(projected.Projected):
    """Round each number of a vector to one of its levels. There is no penalty.

    A vector whose size is not that of `levels` passes a dense layer before and another one after.

    Args:
      latent_dim: D, the size of a vector.
      levels: the number of levels of each number, at least 3. An even number of levels lies lopsided around zero.

    Raises:
      UserError: if there are too few levels, or more entries than an index can tell apart.
    """

    levels: Sizes = (8, 5, 5, 5)

    @property
    def inner_dim(self) -> int:
        """Return the size of the vectors that are rounded."""
        return len(self.levels)

    @property
    def size(self) -> int:
        """Return the number of entries, the product of all levels."""
        if min(self.levels, default=0) < 3:
            raise UserError(
                f"model.levels={self.levels} has fewer than 3 levels\nuse at least 3; model.quantizer=lfq has 2"
            )
        if math.prod(self.levels) > _LARGEST:
            raise UserError(
                f"model.levels={self.levels} has {math.prod(self.levels)} entries, more than an index can hold\n"
                "use fewer levels, with a product below 2^31"
            )
        return math.prod(self.levels)

    def quantize(self, z, shown, hparams) -> Quantized:
        """Round vectors z [N, len(levels)] (appendix A.1); the gradient is straight-through."""
        levels = np.array(self.levels)
        half = (levels - 1) * (1 - _MARGIN) / 2
        offset = np.where(levels % 2 == 0, 0.5, 0.0)
        shift = np.tan(offset / half)
        bounded = jnp.tanh(z + _row(shift)) * _row(half) - _row(offset)
        whole = jnp.round(bounded)
        # Integers, because sums of floats would be rounded where there are many entries.
        digits = whole.astype(jnp.int32) + levels[None] // 2
        indices = (digits * self._places()[None]).sum(axis=-1)
        return Quantized(gradients.straight_through(bounded, whole) / _row(levels // 2), indices, {})

    def entries(self, indices):
        """Return entries [..., len(levels)] by their numbers [...]."""
        levels = np.array(self.levels)
        axes = (1,) * indices.ndim + (-1,)
        digits = indices[..., None] // self._places().reshape(axes) % levels.reshape(axes)
        return (digits - (levels // 2).reshape(axes)) / (levels // 2).reshape(axes).astype(np.float32)

    def _places(self) -> np.ndarray:
        """Return the factor of each digit in an index."""
        return np.cumprod((1, *self.levels[:-1])).astype(np.int32)


def _row(values: np.ndarray) -> np.ndarray:
    return values[None].astype(np.float32)
