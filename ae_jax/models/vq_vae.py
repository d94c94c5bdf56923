"""The autoencoder with a discrete latent, which a quantizer makes (VQ-VAE, tokenizer).

van den Oord et al. 2017, "Neural discrete representation learning", arXiv:1711.00937.
"""

import math
from collections.abc import Callable

import flax.linen as nn
import jax.numpy as jnp

from ae_jax.core.errors import UserError
from ae_jax.core.forms import Size
from ae_jax.core.types import Batch, DataSpec, Latent, Outputs
from ae_jax.models import ae, quantizers
from ae_jax.models.nets import words
from ae_jax.models.quantizers import vq


class Model(ae.Model):
    """Extend `ae.Model` by a quantizer of the latent.

    The latent has one or more places. With `spatial` they are those of the encoder's last image, and otherwise the
    latent is cut into `slots`. At each place, a vector of `latent_dim` numbers is quantized. The penalties of the
    quantizer are summed over the places.

    Args:
      quantizer: a function from `latent_dim` to a module of `ae_jax.models.quantizers`.
      latent_dim: D, the size of the vector at each place, at least 1.
      slots: the number of places of a latent that is not spatial.
      centre: a number that is subtracted from the encoder's inputs and added to the decoder's outputs.
      code_activation: must be "identity".
    """

    quantizer: Callable[..., quantizers.Quantizer] = vq.Quantizer
    slots: Size = 1
    centre: float = 0.0

    starts_from = "first_batch"

    @property
    def code_spec(self) -> DataSpec:
        """Describe the indices of an example as data for a second-stage model."""
        quantizer = self._detached()
        return DataSpec((*self.grid, *quantizer.index_shape), "tokens", levels=quantizer.size)

    @property
    def codebooks(self) -> int:
        """Return how many codebooks the last axis of the indices goes through."""
        return math.prod(self._detached().index_shape)

    @property
    def grid(self) -> tuple[int, ...]:
        """Return the shape of the places of an example."""
        return self._places() if self.spatial else (self.slots,)

    @nn.nowrap
    def _detached(self) -> quantizers.Quantizer:
        """Make a quantizer outside of `setup`, whose facts and pure methods can be read."""
        return self.quantizer(self.latent_dim, parent=None)

    def setup(self):
        """Check the fields; make the likelihood, the quantizer and the dense layer before it."""
        if self.latent_dim < 1:
            raise UserError(f"model.latent_dim={self.latent_dim} leaves nothing to quantize\nexpected at least 1")
        if self.code_activation != "identity":
            raise UserError(f"model.code_activation={self.code_activation!r} of a quantizer\nuse identity")
        self._places()  # for its check of the encoder
        self.p_x = self.likelihood(self.spec)
        width = self.latent_dim if self.spatial else self.latent_dim * self.slots
        self.z = nn.Dense(width, kernel_init=words.initializer(self.kernel_init))
        self.quantize = self.quantizer(self.latent_dim)

    def features(self, batch: Batch):
        """Return features of the centred inputs: [B, F], or [B, h, w, F] with `spatial`."""
        return self.encoder(batch["inputs"] - self.centre)

    def decoded(self, codes):
        """Return the decoder's outputs [S, B, *output shape] at latents [S, B, D]."""
        return super().decoded(codes) + self.centre

    def encode(self, batch: Batch, num_samples: int = 1) -> tuple[Latent, ...]:
        """Return the latent of batch["inputs"], with "indices" [1, B, *code_spec.shape].

        Args:
          batch: only "inputs" [B, *shape] is read.
          num_samples: not read, because the latent is deterministic.
        """
        return (self._quantized(batch)[0],)

    def _quantized(self, batch: Batch, train: bool = False, hparams=None) -> tuple[Latent, dict]:
        """Return the latent, and the penalties {name: [B]}."""
        z = self.z(self.features(batch))
        count, places = len(z), math.prod(self.grid)
        if train:
            self.quantize.check(count * places)
        # The vectors of one example lie next to each other, and share its mask.
        shown = jnp.repeat(batch["mask"], places) if "mask" in batch else None
        found = self.quantize(z.reshape(-1, self.latent_dim), shown, train, hparams, places)
        indices = found.indices.reshape(1, count, *self.code_spec.shape)
        penalties = {name: each.reshape(count, -1).sum(axis=1) for name, each in found.penalties.items()}
        return Latent(found.values.reshape(1, count, -1), indices=indices), penalties

    def __call__(self, batch: Batch, *, num_samples: int = 1, train: bool = False, hparams=None) -> Outputs:
        """Encode, quantize and decode; see `ae_jax.models.base.Family`."""
        latent, penalties = self._quantized(batch, train, hparams)
        likelihood = self.decode((latent.sample,), batch, train)
        return Outputs(likelihood, (latent,), latent.sample[0], penalties)

    def embed(self, indices):
        """Return the latents [S, B, D] of entries of the codebook, flat as `decode` takes them.

        Args:
          indices: the numbers of the entries, int32 [S, B, *code_spec.shape].
        """
        rows = indices.reshape(-1, *self._detached().index_shape)
        return self.quantize.embed(rows).reshape(*indices.shape[:2], -1)

    @nn.nowrap
    def after_batch(self, collections, key):
        """Return the mutable collections after a step, those of the quantizer as it says."""
        mine = quantizers.own(collections, "quantize")
        return quantizers.with_own(collections, "quantize", self._detached().after_batch(mine, key))
