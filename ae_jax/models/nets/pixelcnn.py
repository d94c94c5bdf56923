"""Gated masked convolutions: each place of a grid reads the places above it and to the left.

van den Oord et al. 2016, "Conditional image generation with PixelCNN decoders", arXiv:1606.05328, section 2.1.
"""

import flax.linen as nn
import jax.numpy as jnp

from ae_jax.models.nets import lowering, words


class Causal(nn.Module):
    """Convolve a grid [B, H, W, C] so that each place reads no place below it or to the right.

    Args:
      features: the number of output channels.
      kernel: the height and width of the kernel. The last row of the kernel is on the place's own row.
      centred: whether the kernel reaches as far to the right as to the left. If not, its last column is on the place.
    """

    features: int
    kernel: tuple[int, int]
    centred: bool

    @nn.compact
    def __call__(self, x):
        """Return the convolved grid [B, H, W, features]."""
        height, width = self.kernel
        right = width // 2 if self.centred else 0
        shape = (height, width, x.shape[-1], self.features)
        kernel = self.param("kernel", words.initializer("lecun_normal"), shape)
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        padded = jnp.pad(x, ((0, 0), (height - 1, 0), (width - 1 - right, right), (0, 0)))
        return lowering.conv2d(padded, kernel, padding="VALID") + bias[None, None, None]


class PixelCnn(nn.Module):
    """Map tokens to logits, each from the tokens before it.

    A vertical stack reads all rows above a place, and a horizontal one reads its own row to the left.

    Args:
      grid: H and W.
      size: K, the number of different tokens.
      width: the number of channels.
      layers: the number of gated layers after the first.
      kernel: the size of the first layer's kernel, odd; that of the others is 3.
    """

    grid: tuple[int, int]
    size: int
    width: int
    layers: int
    kernel: int = 7

    @nn.compact
    def __call__(self, tokens, label=None, train: bool = False):
        """Return logits [B, T, K] of one-hot tokens [B, T, K], each from the tokens before it."""
        x = tokens.reshape(len(tokens), *self.grid, self.size)
        # Shifted right, a row excludes the place itself. The vertical stack is shifted down where it is read.
        vertical, horizontal = x, _shifted(x, axis=2)
        read = []
        for layer in range(self.layers + 1):
            kernel = 3 if layer else self.kernel
            half = kernel // 2 + 1
            vertical = Causal(2 * self.width, (half, kernel), centred=True)(vertical)
            both = Causal(2 * self.width, (1, half), centred=False)(horizontal)
            both = both + nn.Dense(2 * self.width)(_shifted(vertical, axis=1))
            if label is not None:
                given = nn.Dense(4 * self.width, use_bias=False)(label)[:, None, None]
                vertical, both = vertical + given[..., : 2 * self.width], both + given[..., 2 * self.width :]
            vertical, gated = _gate(vertical), _gate(both)
            read.append(nn.Dense(self.width)(gated))
            if layer < self.layers:
                # The first layer's input has other channels, so that nothing is added to it.
                horizontal = nn.Dense(self.width)(gated) + (horizontal if layer else 0)
        h = nn.relu(nn.Dense(self.width)(nn.relu(sum(read))))
        return nn.Dense(self.size, kernel_init=nn.initializers.zeros)(h).reshape(tokens.shape)

    @nn.nowrap
    def begin(self, count: int):
        """Return the tokens of `count` examples of which none is known yet."""
        return jnp.zeros((count, self.grid[0] * self.grid[1], self.size))

    def step(self, state, before, place, label=None):
        """Return the tokens known so far and the logits [B, K] at one place.

        All places are computed anew, as convolutions have no cache.

        Args:
          state: one-hot tokens [B, T, K], zeros where they are not known yet.
          before: the token before, one-hot [B, K]; zeros at place 0.
          place: the number of the place.
          label: label vectors [B, L], or None.
        """
        # At place 0 the token before is zero, and so is what is there.
        known = state.at[:, jnp.maximum(place - 1, 0)].set(before)
        return known, self(known, label)[:, place]


def _shifted(x, axis: int):
    """Move a grid [B, H, W, C] by one place along an axis; zeros come in."""
    pads = [(0, 0)] * x.ndim
    pads[axis] = (1, 0)
    keep = [slice(None)] * x.ndim
    keep[axis] = slice(-1)
    return jnp.pad(x[tuple(keep)], pads)


def _gate(x):
    """Return tanh(a) * sigmoid(b), a and b the halves of the channels."""
    a, b = jnp.split(x, 2, axis=-1)
    return jnp.tanh(a) * nn.sigmoid(b)
