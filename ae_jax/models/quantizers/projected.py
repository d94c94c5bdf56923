"""Base class of quantizers whose vectors have a size of their own."""

import flax.linen as nn

from ae_jax.models import quantizers
from ae_jax.models.quantizers import Quantized


class Projected(quantizers.Quantizer):
    """Quantize vectors of `inner_dim` numbers.

    If `latent_dim` is another size, a dense layer stands before and after the quantizer.
    """

    @property
    def inner_dim(self) -> int:
        """Return the size of the vectors that are quantized."""
        raise NotImplementedError

    def quantize(self, z, shown, hparams) -> Quantized:
        """Quantize vectors z [N, inner_dim]; see `ae_jax.models.quantizers.Quantizer`."""
        raise NotImplementedError

    def entries(self, indices):
        """Return entries [..., inner_dim] by their numbers [...]."""
        raise NotImplementedError

    def setup(self):
        """Check the number of entries, and make the dense layers."""
        _ = self.size
        self.is_projected = self.inner_dim != self.latent_dim
        if self.is_projected:
            self.inward, self.outward = nn.Dense(self.inner_dim), nn.Dense(self.latent_dim)

    def __call__(self, z, shown=None, train: bool = False, hparams=None, places: int = 1) -> Quantized:
        """Quantize vectors z [N, D]; see `ae_jax.models.quantizers.Quantizer`."""
        hparams = hparams or {}
        if not self.is_projected:
            return self.quantize(z, shown, hparams)
        found = self.quantize(self.inward(z), shown, hparams)
        return found._replace(values=self.outward(found.values))

    def embed(self, indices):
        """Return vectors [..., D] by the numbers of their entries [...]."""
        entries = self.entries(indices)
        return self.outward(entries) if self.is_projected else entries
