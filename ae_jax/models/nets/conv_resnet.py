"""Residual convolutional networks for images of at least 32x32 pixels: encoder and decoder.

The blocks are those of He et al. 2016, "Identity mappings in deep residual networks", arXiv:1603.05027. They have the
group normalisation of Wu and He 2018, arXiv:1803.08494. In small images the pixels attend to each other, as in Ho et
al. 2020, arXiv:2006.11239, appendix B.
"""

import math

import flax.linen as nn

from ae_jax.core.forms import Count, Size, Sizes
from ae_jax.models.nets import ImageEncoder, conv, downsampled, words
from ae_jax.models.nets.mlp import Mlp


class Norm(nn.Module):
    """Apply group normalisation, then the activation: [..., C] -> [..., C].

    Args:
      groups: the number of groups. If it does not divide the channels, their greatest common divisor is used.
      activation: the name of a function in `ae_jax.models.nets.words`.
    """

    groups: int
    activation: str

    @nn.compact
    def __call__(self, x):
        """Return activations of the shape of x [..., C]."""
        x = nn.GroupNorm(math.gcd(self.groups, x.shape[-1]))(x)
        return words.activation(self.activation)(x)


class Block(nn.Module):
    """Return x + f(x), where f is two convolutions of 3x3, each after a normalisation.

    Args:
      features: F, the number of output channels.
      groups: the number of groups of the normalisation.
      activation: the activation after each normalisation.
      kernel_init: the initialiser of all layers.
      attends: whether self-attention between the pixels follows, with one head of F channels.
    """

    features: int
    groups: int
    activation: str
    kernel_init: str
    attends: bool

    @nn.compact
    def __call__(self, x):
        """Return images [N, H, W, features] of images x [N, H, W, C]."""
        h = x
        for _ in range(2):
            h = Norm(self.groups, self.activation)(h)
            h = conv.Conv(self.features, 3, kernel_init=self.kernel_init)(h)
        if x.shape[-1] != self.features:
            # The skip connection adds images with different numbers of channels: a 1x1 convolution makes them equal.
            x = conv.Conv(self.features, 1, kernel_init=self.kernel_init)(x)
        x += h
        if self.attends:
            h = Norm(self.groups, "identity")(x).reshape(len(x), -1, self.features)
            init = words.initializer(self.kernel_init)
            x += nn.MultiHeadDotProductAttention(num_heads=1, kernel_init=init)(h).reshape(x.shape)
        return x


class _Pyramid(nn.Module):
    """Base class of encoder and decoder: residual blocks at several image sizes.

    Each size is half of the one before.

    Args:
      channels: the number of channels at each image size, from the largest image to the smallest.
      blocks: the number of residual blocks at each size.
      hidden: the widths of the dense layers between the smallest image and the features.
      groups: the number of groups of the normalisation. If it does not divide the channels, their greatest common
        divisor is used.
      attention: images with at most this many pixels a side have self-attention; 0 for no attention.
      remat: whether to use gradient checkpointing: the backward pass recomputes what is inside a block instead of
        keeping it in memory. Training needs less memory and about a third more arithmetic.
      spatial: whether the latent has numbers for each place of the smallest image, in place of dense layers.
      activation: the activation after each normalisation and dense layer.
      kernel_init: the initialiser of all layers.
    """

    channels: Sizes = (64, 128, 256)
    blocks: Count = 2
    hidden: Sizes = ()
    groups: Size = 32
    attention: Count = 0
    remat: bool = False
    spatial: bool = False
    activation: str = "silu"
    kernel_init: str = "lecun_normal"

    def level(self, x, level: int):
        """Apply the blocks of one image size to x [N, h, w, C]; level 0 is the largest size."""
        block = nn.remat(Block) if self.remat else Block
        attends = max(x.shape[1:3]) <= self.attention
        for number in range(self.blocks):
            # Flax names modules by their class, and `nn.remat` makes another class. An explicit name keeps the paths
            # of parameters the same with and without gradient checkpointing.
            name = f"level{level}_block{number}"
            x = block(self.channels[level], self.groups, self.activation, self.kernel_init, attends, name=name)(x)
        return x

    def convolution(self, features: int, stride: int = 1):
        """Make a convolution of 3x3."""
        return conv.Conv(features, 3, stride, kernel_init=self.kernel_init)


class Encoder(_Pyramid, ImageEncoder):
    """Apply the blocks of each image size, with a convolution of stride 2 between two sizes.

    Images [N, H, W, C] become features [N, F]. Without `hidden`, the features are the last image, flattened. With
    `spatial`, they are the last image [N, h, w, C]. The fields are those of `_Pyramid`.
    """

    def image_size(self, shape):
        """Return the height and width of the last image for examples of this shape (H, W, C)."""
        return downsampled(shape, (2,) * (len(self.channels) - 1))

    @nn.compact
    def __call__(self, x):
        """Return features [N, F], or the last image [N, h, w, C], of images x [N, H, W, C]."""
        conv.check_image("encoder", x.shape[1:], self.channels)
        x = self.convolution(self.channels[0])(x)
        for level, features in enumerate(self.channels):
            x = self.convolution(features, 2)(x) if level else x
            x = self.level(x, level)
        x = Norm(self.groups, self.activation)(x)
        if self.spatial:
            return x
        return Mlp(self.hidden, self.activation, self.kernel_init)(x.reshape(len(x), -1))


class Decoder(_Pyramid):
    """Mirror the encoder: dense layers, then the blocks of each image size, smallest first.

    Between two sizes, nearest neighbours and a convolution enlarge the image. The fields are those of `_Pyramid`.
    """

    @nn.compact
    def __call__(self, z, shape: tuple[int, ...]):
        """Return outputs [N, *shape], without an activation.

        Args:
          z: latents [N, D].
          shape: the shape (H, W, C) of one output. Any size is possible: the lower and right edges of an enlarged image
            are cut off where the encoder's image of the same level has an odd size.
        """
        conv.check_image("decoder", shape, self.channels)
        # The size of the encoder's image at each level, from the largest to the smallest.
        sizes = [downsampled(shape, (2,) * level) for level in range(len(self.channels))]
        smallest = (*sizes[-1], self.channels[-1])
        init = words.initializer(self.kernel_init)
        if self.spatial:
            # The flat latent becomes an image again, and the dense layer acts on each of its places.
            x = nn.Dense(smallest[-1], kernel_init=init)(z.reshape(len(z), *smallest[:2], -1))
        else:
            h = Mlp(self.hidden[::-1], self.activation, self.kernel_init)(z)
            x = nn.Dense(math.prod(smallest), kernel_init=init)(h).reshape(len(h), *smallest)
        for level, (height, width) in reversed(list(enumerate(sizes))):
            if level < len(sizes) - 1:
                x = x.repeat(2, 1).repeat(2, 2)[:, :height, :width]
                x = self.convolution(self.channels[level])(x)
            x = self.level(x, level)
        return self.convolution(shape[-1])(Norm(self.groups, self.activation)(x))
