"""Dense networks with gates: an encoder for arrays of any shape, and its mirror image.

A gated layer returns (W x + b) * sigmoid(V x + c) (Dauphin et al. 2017, arXiv:1612.08083). They are the networks of
Tomczak and Welling 2018, "VAE with a VampPrior", arXiv:1705.07120.
"""

import math
from collections.abc import Sequence

import flax.linen as nn

from ae_jax.core.forms import Sizes
from ae_jax.models.nets import words


class GatedMlp(nn.Module):
    """Apply gated dense layers to [..., F].

    Args:
      hidden: the widths of the layers.
      kernel_init: the initialiser of the dense layers.
    """

    hidden: Sequence[int]
    kernel_init: str = "he_normal"

    @nn.compact
    def __call__(self, x):
        """Return the values of the last layer.

        Args:
          x: features [..., F].
        """
        init = words.initializer(self.kernel_init)
        for number, features in enumerate(self.hidden):
            value = nn.Dense(features, kernel_init=init, name=f"value_{number}")(x)
            gate = nn.Dense(features, kernel_init=init, name=f"gate_{number}")(x)
            x = value * nn.sigmoid(gate)
        return x


class Encoder(nn.Module):
    """Flatten each example and apply gated dense layers: [N, ...] -> [N, hidden[-1]].

    Args:
      hidden: the widths of the layers.
      kernel_init: the initialiser of the dense layers.
    """

    hidden: Sizes = (300, 300)
    kernel_init: str = "he_normal"

    @nn.compact
    def __call__(self, x):
        """Return features [N, hidden[-1]] of examples [N, ...]."""
        return GatedMlp(self.hidden, self.kernel_init)(x.reshape(len(x), -1))


class Decoder(nn.Module):
    """Mirror the encoder: gated dense layers, then a linear layer, [N, D] -> [N, *shape].

    Args:
      hidden: the widths of the layers, in the encoder's order.
      kernel_init: the initialiser of the dense layers.
    """

    hidden: Sizes = (300, 300)
    kernel_init: str = "he_normal"

    @nn.compact
    def __call__(self, z, shape: tuple[int, ...]):
        """Return outputs [N, *shape], without an activation.

        Args:
          z: latents [N, D].
          shape: the shape of one output.
        """
        h = GatedMlp(self.hidden[::-1], self.kernel_init)(z)
        x = nn.Dense(math.prod(shape), kernel_init=words.initializer(self.kernel_init))(h)
        return x.reshape(len(x), *shape)
