"""Dense networks: an encoder for arrays of any shape, and the decoder that mirrors it."""

import math
from collections.abc import Sequence

import flax.linen as nn

from ae_jax.core.forms import Sizes
from ae_jax.models.nets import norm, words


class Mlp(nn.Module):
    """Apply dense layers to [..., F], each followed by normalisation and the activation.

    Args:
      hidden: the widths of the layers.
      activation: the name of a function in `ae_jax.models.nets.words`.
      kernel_init: the initialiser of the dense layers.
      norm: "none", "batch" or "layer": the normalisation before each activation.
    """

    hidden: Sequence[int]
    activation: str = "relu"
    kernel_init: str = "lecun_normal"
    norm: str = "none"

    @nn.compact
    def __call__(self, x, mask=None):
        """Return the activations of the last layer.

        Args:
          x: features [..., F].
          mask: [...], one for the examples over which batch normalisation averages; None for all.
        """
        init = words.initializer(self.kernel_init)
        for features in self.hidden:
            # A normalised layer needs no bias: the normalisation removes it, and has an offset of its own.
            x = nn.Dense(features, use_bias=self.norm == "none", kernel_init=init)(x)
            x = words.activation(self.activation)(norm.Norm(self.norm)(x, mask))
        return x


class Encoder(nn.Module):
    """Flatten each example and apply dense layers: [N, ...] -> [N, hidden[-1]].

    Args:
      hidden: the widths of the dense layers.
      activation: the activation after each dense layer.
      kernel_init: the initialiser of the dense layers.
    """

    hidden: Sizes = (512,)
    activation: str = "relu"
    kernel_init: str = "lecun_normal"

    @nn.compact
    def __call__(self, x):
        """Return features [N, hidden[-1]] of examples [N, ...]."""
        return Mlp(self.hidden, self.activation, self.kernel_init)(x.reshape(len(x), -1))


class Decoder(nn.Module):
    """Mirror the encoder: dense layers, then a linear layer, [N, D] -> [N, *shape].

    Args:
      hidden: the widths of the dense layers, in the encoder's order.
      activation: the activation after each dense layer but the last.
      kernel_init: the initialiser of the dense layers.
    """

    hidden: Sizes = (512,)
    activation: str = "relu"
    kernel_init: str = "lecun_normal"

    @nn.compact
    def __call__(self, z, shape: tuple[int, ...]):
        """Return outputs [N, *shape], without an activation.

        Args:
          z: latents [N, D].
          shape: the shape of one output.
        """
        h = Mlp(self.hidden[::-1], self.activation, self.kernel_init)(z)
        x = nn.Dense(math.prod(shape), kernel_init=words.initializer(self.kernel_init))(h)
        return x.reshape(len(x), *shape)
