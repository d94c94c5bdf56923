"""Normalisation over a batch or over a layer, by its name in a config."""

import flax.linen as nn
import jax.numpy as jnp

from ae_jax.core import errors

NAMES = ("none", "batch", "layer")


class Norm(nn.Module):
    """[..., F] -> [..., F]: "none", "batch" (Ioffe and Szegedy 2015) or "layer" (Ba et al. 2016), scale and offset.

    A batch's own mean and variance are used where the running ones may be written, which is in training, and the
    running ones everywhere else. They are those of the examples whose `mask` [...] is one.
    """

    kind: str

    @nn.compact
    def __call__(self, x, mask=None):
        if self.kind not in NAMES:
            raise errors.unknown("model.norm", self.kind, NAMES)
        if self.kind == "none":
            return x
        if self.kind == "layer":
            return nn.LayerNorm()(x)
        norm = nn.BatchNorm(use_running_average=not self.is_mutable_collection("batch_stats"), momentum=0.9)
        return norm(x, mask=None if mask is None else jnp.broadcast_to(mask[..., None] > 0, x.shape))
