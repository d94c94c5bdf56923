"""An autoencoder whose latent also predicts the class.

It is the feature extractor of metrics that compare samples with real examples, such as `fid` and `kid`.
"""

import flax.linen as nn
import jax.numpy as jnp

from ae_jax.core.distributions import Categorical
from ae_jax.core.errors import UserError
from ae_jax.core.types import Batch, Outputs
from ae_jax.models import ae


class Model(ae.Model):
    """Extend `ae.Model` by a linear classifier of the latent.

    The penalty "label" is -log p(label | latent) in nats. It is 0 if the label is unknown, which is below 0.
    """

    def setup(self):
        """Make the autoencoder and the classifier's linear layer."""
        super().setup()
        if not self.spec.classes:
            raise UserError("a classifier needs classes, and these data have none\ntry --config.model.name=ae")
        self.head = nn.Dense(self.spec.classes)

    def classify(self, batch: Batch) -> Categorical:
        """Return p(label | x), batch shape [B].

        Args:
          batch: only "inputs" [B, *shape] is read.
        """
        return self._given(self.code(self.encode(batch)))

    def _given(self, code) -> Categorical:
        """Return p(label | latent), batch shape [B]."""
        return Categorical(self.head(code), event_ndims=0)

    def __call__(self, batch: Batch, *, num_samples: int = 1, train: bool = False, hparams=None) -> Outputs:
        """Encode batch["inputs"] and explain batch["x"]; the penalty is that of training alone."""
        outputs = super().__call__(batch, num_samples=num_samples, train=train, hparams=hparams)
        # Outside of training labels are not needed. While the parameters are initialised, the head must be called.
        if not train and not self.is_initializing():
            return outputs
        nats = jnp.where(batch["label"] >= 0, -self._given(outputs.code).log_prob(batch["label"]), 0)
        return outputs.replace(penalties={"label": nats})
