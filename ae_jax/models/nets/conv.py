"""Convolutional networks over images [N, H, W, C]: an encoder and a decoder that mirrors it."""

import functools
import itertools
import math
from collections.abc import Sequence

import flax.linen as nn
import jax.numpy as jnp

from ae_jax.core import errors
from ae_jax.core.forms import Count, Size, Sizes
from ae_jax.models.nets import ImageEncoder, downsampled, lowering, words
from ae_jax.models.nets.mlp import Mlp


class Conv(nn.Module):
    """Convolve with bias and SAME padding: [N, H, W, C] -> [N, h, w, features].

    The size of the result is that of the image divided by the stride, rounded up.

    The parameters and the results are those of `nn.Conv` and `nn.ConvTranspose`.

    Args:
      features: the number of output channels.
      kernel: the height and width of the kernel.
      stride: the step along both axes.
      transposed: whether the convolution is transposed, so that it enlarges the image by the stride.
      kernel_init: the initialiser of the kernel.
    """

    features: int
    kernel: int
    stride: int = 1
    transposed: bool = False
    kernel_init: str = "lecun_normal"

    @nn.compact
    def __call__(self, x):
        """Return the convolved image of x [N, H, W, C]."""
        shape = (self.kernel, self.kernel, x.shape[-1], self.features)
        kernel = self.param("kernel", words.initializer(self.kernel_init), shape)
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        x, kernel, bias = nn.dtypes.promote_dtype(x, kernel, bias)
        convolve = lowering.conv_transpose2d if self.transposed else lowering.conv2d
        return convolve(x, kernel, (self.stride, self.stride)) + bias[None, None, None]


def _pool(x, size: int, combine, outside: float):
    """Combine the pixels of each square of `size` x `size`; the padding has the value `outside`."""
    pads = [_same_padding(side, size) for side in x.shape[1:3]]
    x = jnp.pad(x, ((0, 0), *pads, (0, 0)), constant_values=outside)
    n, height, width, channels = x.shape
    squares = x.reshape(n, height // size, size, width // size, size, channels)
    # One elementwise operation for each pixel of a square. With its gradient, inside a compiled loop on a CPU, this is
    # five times faster than `nn.max_pool`, which XLA lowers to a windowed reduction.
    pixels = [squares[:, :, i, :, j] for i, j in itertools.product(range(size), repeat=2)]
    return functools.reduce(combine, pixels)


def _same_padding(side: int, size: int) -> tuple[int, int]:
    """Return the padding before and after `side` pixels that makes them a multiple of `size`."""
    missing = -side % size
    return missing // 2, missing - missing // 2


def max_pool(x, size: int):
    """Return the maximum of each square, [N, ceil(H/size), ceil(W/size), C].

    Args:
      x: images [N, H, W, C], padded by minus infinity.
      size: the height and width of the squares, which do not overlap.
    """
    return _pool(x, size, jnp.maximum, -jnp.inf)


def average_pool(x, size: int):
    """Return the mean of each square without the padding, [N, ceil(H/size), ceil(W/size), C].

    Args:
      x: images [N, H, W, C].
      size: the height and width of the squares, which do not overlap.
    """
    # The number of pixels in each square is the sum over an image of ones.
    ones = jnp.ones_like(x[:1, :, :, :1])
    return _pool(x, size, jnp.add, 0.0) / _pool(ones, size, jnp.add, 0.0)


_DOWN = {"stride": None, "max_pool": max_pool, "average_pool": average_pool}
_UP = ("transposed", "nearest")


def _per_layer(word: str, value: int | Sequence[int], channels: Sequence[int]) -> tuple[int, ...]:
    """Return one number for each layer; a single number stands for all layers.

    Raises:
      UserError: if there are not as many numbers as `channels`, or if a number is less than 1.
    """
    values = (value,) * len(channels) if isinstance(value, int) else tuple(value)
    if len(values) != len(channels) or min(values, default=0) < 1:
        raise errors.UserError(
            f"model.{word}={value} does not fit model.channels={tuple(channels)}\n"
            "expected one positive number for all layers, or as many as there are channels"
        )
    return values


def check_image(who: str, shape: Sequence[int], channels: Sequence[int]):
    """Check that a convolutional network has layers, and images to convolve.

    Args:
      who: "encoder" or "decoder".
      shape: the shape of an example.
      channels: the network's field `channels`.

    Raises:
      UserError: if the examples are not images, or if `channels` is empty.
    """
    if not channels:
        raise errors.UserError(f"model.channels of a convolutional {who} is empty\nexpected at least one number")
    if len(shape) != 3:
        raise errors.UserError(
            f"a convolutional {who} is for images (height, width, channels), not for examples of shape {tuple(shape)}\n"
            f"try model.{who}=mlp"
        )


class Encoder(ImageEncoder):
    """Apply convolutions that shrink the image, then dense layers: [N, H, W, C] -> [N, F].

    Each of `channels` is a convolution, the activation, and a step that shrinks the image.

    Args:
      channels: the number of output channels of each convolution.
      kernel: the kernel size of all convolutions, or one for each.
      stride: the factor by which each step shrinks the image; one number for all steps, or one for each.
      hidden: the widths of the dense layers. Without any, the features are the last image [h, w, C], flattened.
      activation: the activation after each convolution and dense layer.
      kernel_init: the initialiser of all layers.
      down: what shrinks the image: the "stride" of the convolution itself, "max_pool" or "average_pool".
      spatial: whether the last image [N, h, w, C] is returned, without dense layers.
    """

    channels: Sizes = (32, 64)
    kernel: Size | Sizes = 4
    stride: Size | Sizes = 2
    hidden: Sizes = (256,)
    activation: str = "relu"
    kernel_init: str = "lecun_normal"
    down: str = "stride"
    spatial: bool = False

    def image_size(self, shape):
        """Return the height and width of the last image for examples of this shape (H, W, C)."""
        return downsampled(shape, _per_layer("stride", self.stride, self.channels))

    @nn.compact
    def __call__(self, x):
        """Return features [N, F], or the last image [N, h, w, C], of images x [N, H, W, C]."""
        check_image("encoder", x.shape[1:], self.channels)
        if self.down not in _DOWN:
            raise errors.unknown("model.down", self.down, _DOWN)
        pool = _DOWN[self.down]
        kernels = _per_layer("kernel", self.kernel, self.channels)
        strides = _per_layer("stride", self.stride, self.channels)
        for features, kernel, stride in zip(self.channels, kernels, strides, strict=True):
            x = Conv(features, kernel, 1 if pool else stride, kernel_init=self.kernel_init)(x)
            x = words.activation(self.activation)(x)
            x = pool(x, stride) if pool else x
        if self.spatial:
            return x
        return Mlp(self.hidden, self.activation, self.kernel_init)(x.reshape(len(x), -1))


class Decoder(nn.Module):
    """Mirror the encoder: dense layers, then convolutions that enlarge, [N, D] -> [N, *shape].

    The fields that both have are in the encoder's order, so that the same values describe both networks.

    Args:
      channels: the encoder's numbers of channels.
      kernel: the kernel size of all convolutions, or one for each.
      stride: the factor by which each step enlarges the image; one number for all steps, or one for each.
      hidden: the encoder's widths of dense layers.
      activation: the activation after each layer but the last.
      kernel_init: the initialiser of all layers.
      up: what enlarges the image: a "transposed" convolution, or a convolution followed by "nearest" neighbours.
      project: whether a dense layer makes the first, smallest image. Without it, the output of the dense layers, or the
        latent if there are none, is that image.
      final_kernel: the kernel size of a last convolution with stride 1; 0 if the last step makes the output itself.
      spatial: whether the latent has numbers for each place of the smallest image, in place of dense layers.
    """

    channels: Sizes = (32, 64)
    kernel: Size | Sizes = 4
    stride: Size | Sizes = 2
    hidden: Sizes = (256,)
    activation: str = "relu"
    kernel_init: str = "lecun_normal"
    up: str = "transposed"
    project: bool = True
    final_kernel: Count = 0
    spatial: bool = False

    @nn.compact
    def __call__(self, z, shape: tuple[int, ...]):
        """Return outputs [N, *shape], without an activation.

        Args:
          z: latents [N, D].
          shape: the shape (H, W, C) of one output. Any size is possible: the steps make an image that is at least as
            large, and the lower and right edges are cut off.
        """
        check_image("decoder", shape, self.channels)
        if self.up not in _UP:
            raise errors.unknown("model.up", self.up, _UP)
        if self.up == "nearest" and not self.final_kernel:
            raise errors.UserError(
                "model.up='nearest' without a last convolution makes blocks of equal pixels\nuse model.final_kernel=3"
            )
        activation = words.activation(self.activation)
        kernels = _per_layer("kernel", self.kernel, self.channels)
        strides = _per_layer("stride", self.stride, self.channels)
        # The sizes that the images have in the encoder, from the largest to the smallest.
        sizes = [tuple(shape[:2])]
        for stride in strides:
            sizes.append(downsampled(sizes[-1], [stride]))

        smallest = (*sizes.pop(), self.channels[-1])
        x = z if self.spatial else Mlp(self.hidden[::-1], self.activation, self.kernel_init)(z)
        if self.spatial:
            # The flat latent becomes an image again, and the dense layer acts on each of its places.
            x = x.reshape(len(x), *smallest[:2], -1)
            if self.project:
                x = activation(nn.Dense(smallest[-1], kernel_init=words.initializer(self.kernel_init))(x))
        elif self.project:
            x = activation(nn.Dense(math.prod(smallest), kernel_init=words.initializer(self.kernel_init))(x))
        elif x.shape[-1] != math.prod(smallest):
            raise errors.UserError(
                f"model.project=False needs a latent that is the smallest image {smallest}, not {x.shape[-1]} numbers\n"
                f"expected a latent of {math.prod(smallest)} numbers, or model.project=True"
            )
        x = x.reshape(len(x), *smallest[:2], -1)

        outputs = self.channels[::-1] if self.final_kernel else (*self.channels[-2::-1], shape[-1])
        steps = zip(outputs, kernels[::-1], strides[::-1], sizes[::-1], strict=True)
        # The activation comes before each step but the first, so that no activation follows the last one.
        for step, (features, kernel, stride, (height, width)) in enumerate(steps):
            x = activation(x) if step else x
            if self.up == "transposed":
                x = Conv(features, kernel, stride, True, self.kernel_init)(x)
            else:
                x = Conv(features, kernel, kernel_init=self.kernel_init)(x).repeat(stride, 1).repeat(stride, 2)
            x = x[:, :height, :width]
        if self.final_kernel:
            x = Conv(shape[-1], self.final_kernel, kernel_init=self.kernel_init)(activation(x))
        return x
