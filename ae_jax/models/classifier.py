"""An autoencoder whose code also tells the class: features for measures that compare samples with real examples."""

import flax.linen as nn
import jax.numpy as jnp

from ae_jax.core.distributions import Categorical
from ae_jax.core.errors import UserError
from ae_jax.core.types import Batch, Outputs
from ae_jax.models import ae


class Model(ae.Model):
    """As `ae.Model`, with the penalty "label": -log p(label|code) in nats, 0 where the label is not known (below 0)."""

    def setup(self):
        super().setup()
        if not self.spec.classes:
            raise UserError("a classifier needs classes, and these data have none\ntry --config.model.name=ae")
        self.head = nn.Dense(self.spec.classes)

    def classify(self, batch: Batch) -> Categorical:
        """p(label|x), batch shape [B]."""
        return self._given(self.code(self.encode(batch)))

    def _given(self, code) -> Categorical:
        return Categorical(self.head(code), event_ndims=0)

    def __call__(self, batch: Batch, *, num_samples: int = 1, train: bool = False, hparams=None) -> Outputs:
        outputs = super().__call__(batch, num_samples=num_samples, train=train, hparams=hparams)
        if not train and not self.is_initializing():
            return outputs
        nats = jnp.where(batch["label"] >= 0, -self._given(outputs.code).log_prob(batch["label"]), 0)
        return outputs.replace(penalties={"label": nats})
