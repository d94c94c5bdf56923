"""A density of x without latents, made of a module of `ae_jax.models.priors`.

With prior="flow" it is a masked autoregressive flow, fitted by maximum likelihood (Papamakarios et al. 2017, "Masked
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
    """Model all examples by one distribution. Its draws read the random stream "latent".

    Args:
      spec: the shape and kind of one example, which must be pixels or reals.
      prior: a function from the number of values in an example to a module of `ae_jax.models.priors`.

    Raises:
      UserError: if the examples are of another kind.
    """

    prior: Callable[[int], nn.Module] = flow.Prior

    networks = ()
    needs_dequantised = True

    def setup(self):
        """Check the kind of the data, and make the distribution."""
        if self.spec.kind not in self.kinds:
            raise UserError(
                f"model.name='density' is not for {self.spec.kind}\n"
                "expected pixels or reals; for tokens, try model.name=factorised"
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
        """Draw examples from the density, batch shape [1, B].

        Args:
          batch: "mask" [B] tells how many examples to draw.
        """
        x = self.p_x().sample(self.make_rng("latent"), len(batch["mask"]))
        return Point(x.reshape(1, -1, *self.spec.shape), event_ndims=len(self.spec.shape))
