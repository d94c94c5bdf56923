"""Residual convolutional networks for images of 32x32 pixels and more: an encoder to features, and its mirror image.

Blocks as in He et al. 2016, "Identity mappings in deep residual networks", arXiv:1603.05027, with the group
normalisation of Wu and He 2018, arXiv:1803.08494, and attention between the pixels of small images (Ho et al. 2020,
arXiv:2006.11239, appendix B).
"""

import math
from collections.abc import Sequence

import flax.linen as nn

from ae_jax.models.nets import ImageEncoder, conv, downsampled, words
from ae_jax.models.nets.mlp import Mlp


class Norm(nn.Module):
    """Group normalisation in as many of `groups` groups as divide the channels, then the activation."""

    groups: int
    activation: str

    @nn.compact
    def __call__(self, x):
        x = nn.GroupNorm(math.gcd(self.groups, x.shape[-1]))(x)
        return words.activation(self.activation)(x)


class Block(nn.Module):
    """x + f(x), f two convolutions of 3x3 each after a normalisation: [N, H, W, C] -> [N, H, W, features].

    attends: whether pixels then attend to each other, one head of `features` channels.
    """

    features: int
    groups: int
    activation: str
    kernel_init: str
    attends: bool

    @nn.compact
    def __call__(self, x):
        h = x
        for _ in range(2):
            h = Norm(self.groups, self.activation)(h)
            h = conv.Conv(self.features, 3, kernel_init=self.kernel_init)(h)
        if x.shape[-1] != self.features:
            x = conv.Conv(self.features, 1, kernel_init=self.kernel_init)(x)
        x += h
        if self.attends:
            h = Norm(self.groups, "identity")(x).reshape(len(x), -1, self.features)
            init = words.initializer(self.kernel_init)
            x += nn.MultiHeadDotProductAttention(num_heads=1, kernel_init=init)(h).reshape(x.shape)
        return x


class _Pyramid(nn.Module):
    """What both sides have in common: for each of `channels` a size of the image, half that of the one before.

    blocks: residual blocks at each size.
    hidden: widths of the dense layers between the smallest image and the features.
    groups: of the normalisation; the greatest common divisor with the channels where it does not divide them.
    spatial: whether the latent has numbers for each place of the smallest image, without dense layers.
    attention: images of at most this many pixels a side have attention; 0: none.
    remat: whether the backward pass computes the blocks anew instead of keeping what is inside them: less memory, about
        a third more arithmetic.
    """

    channels: Sequence[int] = (64, 128, 256)
    blocks: int = 2
    hidden: Sequence[int] = ()
    groups: int = 32
    attention: int = 0
    remat: bool = False
    spatial: bool = False
    activation: str = "silu"
    kernel_init: str = "lecun_normal"

    def level(self, x, level: int):
        """The blocks of a size."""
        block = nn.remat(Block) if self.remat else Block
        attends = max(x.shape[1:3]) <= self.attention
        for number in range(self.blocks):
            # Named, so that the parameters are the same with and without `remat`.
            name = f"level{level}_block{number}"
            x = block(self.channels[level], self.groups, self.activation, self.kernel_init, attends, name=name)(x)
        return x

    def convolution(self, features: int, stride: int = 1):
        return conv.Conv(features, 3, stride, kernel_init=self.kernel_init)


class Encoder(_Pyramid, ImageEncoder):
    """A convolution, then for each of `channels` its blocks and, but for the last, a convolution of stride 2:
    [N, H, W, C] -> [N, F]; without `hidden` the features are the last image laid out flat.
    """

    def image_size(self, shape):
        return downsampled(shape, (2,) * (len(self.channels) - 1))

    @nn.compact
    def __call__(self, x):
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
    """The encoder's mirror image, from the same words: [N, D] -> [N, *shape], no last activation. The image is enlarged
    by nearest neighbours and a convolution; what that gives too much is cut off at the lower and right edges.
    """

    @nn.compact
    def __call__(self, z, shape: tuple[int, ...]):
        conv.check_image("decoder", shape, self.channels)
        sizes = [tuple(-(-side // 2**level) for side in shape[:2]) for level in range(len(self.channels))]
        smallest = (*sizes[-1], self.channels[-1])
        init = words.initializer(self.kernel_init)
        if self.spatial:
            # A latent at each place of the smallest image.
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
