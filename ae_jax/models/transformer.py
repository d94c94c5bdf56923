"""A causal transformer over the tokens of an example, without latents.

It can be a prior for discrete codes.
"""

from ae_jax.core.errors import UserError
from ae_jax.core.forms import Size
from ae_jax.models import autoregressive
from ae_jax.models.nets.transformer import Transformer


class Model(autoregressive.Autoregressive):
    """Predict each token from those before it by a transformer.

    Args:
      spec: the shape and kind of one example; all axes are one sequence, in raster order.
      conditional: whether the distribution depends on batch["label"].
      width: the size of a place.
      layers: the number of blocks.
      heads: the number of attention heads, which must divide the width.
      dropout: the probability of dropout in training.

    Raises:
      UserError: if the heads do not divide the width, or as `autoregressive.Autoregressive`.
    """

    width: Size = 128
    layers: Size = 4
    heads: Size = 4
    dropout: float = 0.0

    def setup(self):
        """Check the fields, and make the network."""
        self.check()
        if self.width % self.heads:
            raise UserError(f"model.heads={self.heads} does not divide model.width={self.width}\nuse a divisor")
        if not 0 <= self.dropout < 1:
            raise UserError(f"model.dropout={self.dropout}\nuse a probability from 0 to below 1")
        self.network = Transformer(self.length, self.size, self.width, self.layers, self.heads, self.dropout)
