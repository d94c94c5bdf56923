"""A factorised categorical distribution of tokens, without latents: at each position its own, independent of the rest.

On the indices of a discrete latent it is the simplest prior that can be learned; all others are judged against it.
"""

import math

import flax.linen as nn
import jax.numpy as jnp

from ae_jax.core.distributions import Categorical
from ae_jax.core.errors import UserError
from ae_jax.core.types import Batch, Latent, Outputs
from ae_jax.core.unconditional import Point
from ae_jax.models import base


class Model(base.Family):
    """Logits [positions, levels], zero at first. Reads the random stream "latent" in `generate`."""

    networks = ()

    def setup(self):
        """Make the logits of every position. Raise UserError for data that are not tokens."""
        if self.spec.kind not in ("tokens", "events"):
            raise UserError(
                f"model.name='factorised' of {self.spec.kind}\n"
                "expected tokens or events, such as data.source=codes of a run with a discrete latent"
            )
        shape = (math.prod(self.spec.shape), self.spec.levels)
        self.logits = self.param("logits", nn.initializers.zeros, shape)

    def __call__(self, batch: Batch, *, num_samples: int = 1, train: bool = False, hparams=None) -> Outputs:
        """Return the distribution of each example of batch["x"], which is the same for all."""
        count = len(batch["inputs"])
        return Outputs(self._distribution(num_samples, count), (), jnp.zeros((count, 0)))

    def encode(self, batch: Batch, num_samples: int = 1) -> tuple[Latent, ...]:
        """Return no latents."""
        return ()

    def generate(self, batch: Batch) -> Point:
        """Return as many examples as batch["mask"] [B] is long, drawn position by position: batch shape [1, B]."""
        tokens = self._distribution(1, len(batch["mask"])).sample(self.make_rng("latent"), 1)[0]
        return Point(tokens, event_ndims=len(self.spec.shape))

    def _distribution(self, *batch: int) -> Categorical:
        """Return the distribution over examples with this batch shape."""
        shape = (*self.spec.shape, self.spec.levels)
        logits = self.logits.reshape((1,) * len(batch) + shape)
        return Categorical(jnp.broadcast_to(logits, (*batch, *shape)), event_ndims=len(self.spec.shape))
