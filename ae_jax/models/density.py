"""A density of whole examples, without latents: a distribution that `models/priors` has for latents, here for x.

With `prior="flow"` it is a masked autoregressive flow, fitted by maximum likelihood (Papamakarios et al. 2017, "Masked
autoregressive flow for density estimation", arXiv:1705.07057). On the latents of another run it is a prior for them.
"""

import math
from collections.abc import Callable

import flax.linen as nn
import jax.numpy as jnp

from ae_jax.core.errors import UserError
from ae_jax.core.types import Batch, Latent, Outputs
from ae_jax.core.unconditional import Point, Repeated
from ae_jax.models import base
from ae_jax.models.priors import flow


class Model(base.Family):
    """One distribution for all examples. Reads the random stream "latent" in `generate`.

    Args:
      prior: size -> module of `ae_jax.models.priors`.
    """

    prior: Callable[[int], nn.Module] = flow.Prior

    networks = ()
    needs_dequantised = True

    def setup(self):
        """Make the distribution. Raise UserError for data that it has no density of."""
        if self.spec.kind not in ("pixels", "reals"):
            raise UserError(
                f"model.name='density' of {self.spec.kind}\nexpected pixels or reals; of tokens, model.name=factorised"
            )
        self.p_x = self.prior(math.prod(self.spec.shape))

    def __call__(self, batch: Batch, *, num_samples: int = 1, train: bool = False, hparams=None) -> Outputs:
        """Return the distribution of each example of batch["x"], which is the same for all."""
        count = len(batch["inputs"])
        likelihood = Repeated(self.p_x(), (num_samples, count), self.spec.shape)
        return Outputs(likelihood, (), jnp.zeros((count, 0)))

    def encode(self, batch: Batch, num_samples: int = 1) -> tuple[Latent, ...]:
        """Return no latents."""
        return ()

    def generate(self, batch: Batch) -> Point:
        """Return as many examples as batch["mask"] [B] is long, drawn from the density: batch shape [1, B]."""
        x = self.p_x().sample(self.make_rng("latent"), len(batch["mask"]))
        return Point(x.reshape(1, -1, *self.spec.shape), event_ndims=len(self.spec.shape))
