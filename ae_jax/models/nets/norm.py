"""Normalisation over a batch or over a layer, by its name in a config."""

import flax.linen as nn
import jax.numpy as jnp

from ae_jax.core import errors

NAMES = ("none", "batch", "layer")


class Norm(nn.Module):
    """Normalise [..., F] and apply a learned scale and offset to each feature.

    Batch normalisation uses the mean and variance of the batch in training, and the running averages everywhere else.

    Args:
      kind: "none", "batch" (Ioffe and Szegedy 2015, arXiv:1502.03167) or "layer" (Ba et al. 2016, arXiv:1607.06450).

    Raises:
      UserError: if `kind` is unknown.
    """

    kind: str

    @nn.compact
    def __call__(self, x, mask=None):
        """Return normalised features [..., F].

        Args:
          x: features [..., F].
          mask: [...], one for the examples whose mean and variance count; None if all do. Only "batch" reads it.
        """
        if self.kind not in NAMES:
            raise errors.unknown("model.norm", self.kind, NAMES)
        if self.kind == "none":
            return x
        if self.kind == "layer":
            return nn.LayerNorm()(x)
        # Whoever trains makes the running averages mutable. No argument `train` must be passed through all networks.
        norm = nn.BatchNorm(use_running_average=not self.is_mutable_collection("batch_stats"), momentum=0.9)
        return norm(x, mask=None if mask is None else jnp.broadcast_to(mask[..., None] > 0, x.shape))
