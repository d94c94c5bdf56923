"""Events, each one of `spec.levels` classes, from logits."""

import flax.linen as nn

from ae_jax.distributions import Categorical
from ae_jax.errors import UserError
from ae_jax.types import DataSpec


class Likelihood(nn.Module):
    """Decoder outputs [S, B, *shape], the last axis `levels` times as long, are the logits of each value in turn."""

    spec: DataSpec

    needs_dequantised = False
    needs_mean = False

    def __post_init__(self):
        if self.spec.kind != "events":
            raise UserError(
                f"model.likelihood='categorical' of {self.spec.kind}\nexpected events, such as data.name=melodies_2bar"
            )
        super().__post_init__()

    @property
    def outputs_per_value(self) -> int:
        return self.spec.levels

    def __call__(self, outputs, batch, train: bool = False) -> Categorical:
        logits = outputs.reshape(*outputs.shape[:2], *self.spec.shape, self.spec.levels)
        return Categorical(logits, event_ndims=len(self.spec.shape))
