"""A PixelCNN over a grid of tokens or binary pixels, without latents.

It can be a prior for discrete codes.
"""

from ae_jax.core.errors import UserError
from ae_jax.core.forms import Size
from ae_jax.models import autoregressive
from ae_jax.models.nets.pixelcnn import PixelCnn


class Model(autoregressive.Autoregressive):
    """Predict each token from those above it and to the left by gated masked convolutions.

    Args:
      spec: the shape and kind of one example, a grid [H, W] or [H, W, 1].
      conditional: whether the distribution depends on batch["label"].
      width: the number of channels.
      layers: the number of gated layers after the first.
      kernel: the size of the first layer's kernel, odd.

    Raises:
      UserError: if the examples are no grid, if the kernel is even, or as `autoregressive.Autoregressive`.
    """

    width: Size = 64
    layers: Size = 6
    kernel: Size = 7

    def setup(self):
        """Check the examples and the kernel, and make the network."""
        self.check()
        shape = self.spec.shape
        if not (len(shape) == 2 or len(shape) == 3 and shape[2] == 1):
            raise UserError(
                f"model.name='pixelcnn' needs a grid [H, W], and these examples have shape {tuple(shape)}\n"
                "use model.name=transformer, which reads any shape as a sequence"
            )
        if self.kernel % 2 == 0:
            raise UserError(f"model.kernel={self.kernel} of a pixelcnn has no centre\nuse an odd number")
        self.network = PixelCnn(shape[:2], self.size, self.width, self.layers, self.kernel)
