"""Dense networks: an encoder from anything to features, and its mirror image."""

import math
from collections.abc import Sequence

import flax.linen as nn

from ae_jax.core.forms import Sizes
from ae_jax.models.nets import norm, words


class Mlp(nn.Module):
    """Dense layers, each followed by normalisation, if any, over the examples whose mask [...] is one, and the
    activation: [..., F] -> [..., hidden[-1]].
    """

    hidden: Sequence[int]
    activation: str = "relu"
    kernel_init: str = "lecun_normal"
    norm: str = "none"

    @nn.compact
    def __call__(self, x, mask=None):
        init = words.initializer(self.kernel_init)
        for features in self.hidden:
            # A normalised layer has an offset of its own.
            x = nn.Dense(features, use_bias=self.norm == "none", kernel_init=init)(x)
            x = words.activation(self.activation)(norm.Norm(self.norm)(x, mask))
        return x


class Encoder(nn.Module):
    """Flatten each example, then apply dense layers: [N, ...] -> [N, hidden[-1]].

    Args:
      hidden: widths of the dense layers.
      activation: name of the function after each dense layer, see `ae_jax.models.nets.words`.
      kernel_init: name of the initialiser of the kernels, see `ae_jax.models.nets.words`.
    """

    hidden: Sizes = (512,)
    activation: str = "relu"
    kernel_init: str = "lecun_normal"

    @nn.compact
    def __call__(self, x):
        return Mlp(self.hidden, self.activation, self.kernel_init)(x.reshape(len(x), -1))


class Decoder(nn.Module):
    """Apply dense layers in the reverse of the encoder's order, then a linear one: [N, D] -> [N, *shape].

    Args:
      hidden: widths of the dense layers, in the encoder's order.
      activation: name of the function after each dense layer, see `ae_jax.models.nets.words`.
      kernel_init: name of the initialiser of the kernels, see `ae_jax.models.nets.words`.
    """

    hidden: Sizes = (512,)
    activation: str = "relu"
    kernel_init: str = "lecun_normal"

    @nn.compact
    def __call__(self, z, shape: tuple[int, ...]):
        h = Mlp(self.hidden[::-1], self.activation, self.kernel_init)(z)
        x = nn.Dense(math.prod(shape), kernel_init=words.initializer(self.kernel_init))(h)
        return x.reshape(len(x), *shape)
