"""Residual vector quantization: each level quantizes what the levels before it left over.

Zeghidour et al. 2021, "SoundStream: an end-to-end neural audio codec", arXiv:2107.03312, section III.C.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from ae_jax.core.errors import UserError
from ae_jax.core.forms import Size
from ae_jax.models import quantizers
from ae_jax.models.quantizers import Quantized, gradients, vq


class Quantizer(vq.Quantizer):
    """Replace vectors by a sum of entries, one of each level's codebook.

    The penalties are sums over the levels. The other options are those of `vq.Quantizer`, for every level.

    Args:
      depth: the number of levels.
      level_dropout: whether in training each example uses only its first n levels, n drawn evenly from 1 to `depth`.
    """

    depth: Size = 4
    level_dropout: bool = False

    @property
    def index_shape(self) -> tuple[int, ...]:
        """Return the shape of the indices of one vector, one index for each level."""
        return (self.depth,)

    def setup(self):
        """Make the levels."""
        if self.cosine:
            raise UserError("model.cosine=True has no residuals\nuse model.cosine=False, or model.quantizer=vq")
        self.levels = [self._level() for _ in range(self.depth)]

    @nn.nowrap
    def _level(self, **options) -> vq.Quantizer:
        return vq.Quantizer(
            self.latent_dim,
            codes=self.codes,
            update=self.update,
            start=self.start,
            start_range=self.start_range,
            smoothing=self.smoothing,
            dead_below=self.dead_below,
            gradient=self.gradient,
            **options,
        )

    def __call__(self, z, shown=None, train: bool = False, hparams=None, places: int = 1) -> Quantized:
        """Replace vectors z [N, D] by sums of entries; see `ae_jax.models.quantizers.Quantizer`."""
        shown = jnp.ones(len(z)) if shown is None else shown
        used = jnp.full(len(z), self.depth)
        if train and self.level_dropout:
            drawn = jax.random.randint(self.make_rng("collections"), (len(z) // places,), 1, self.depth + 1)
            used = jnp.repeat(drawn, places)
        total, residual, indices = jnp.zeros_like(z), z, []
        penalties: dict[str, Any] = {}
        for number, level in enumerate(self.levels):
            is_used = (number < used).astype(z.dtype)
            found = level(residual, shown * is_used, train, hparams)
            entries = jax.lax.stop_gradient(level.embed(found.indices)) * is_used[:, None]
            total, residual = total + entries, residual - entries
            indices.append(found.indices)
            for name, values in found.penalties.items():
                penalties[name] = penalties.get(name, 0.0) + values * is_used
        return Quantized(gradients.find(self.gradient)(z, total), jnp.stack(indices, axis=-1), penalties)

    def embed(self, indices):
        """Return sums of entries [..., D] by their numbers [..., depth].

        A negative number adds nothing.
        """
        return sum(
            level.embed(jnp.maximum(indices[..., number], 0)) * (indices[..., number, None] >= 0)
            for number, level in enumerate(self.levels)
        )

    @nn.nowrap
    def after_batch(self, collections, key):
        """Move the averages of every level, and replace dead entries."""
        for number in range(self.depth):
            name = f"levels_{number}"
            new = self._level(parent=None).after_batch(quantizers.own(collections, name), key)
            collections = quantizers.with_own(collections, name, new)
        return collections
