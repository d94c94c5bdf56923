"""Convolutional networks over images [N, H, W, C]: an encoder to features, and its mirror image."""

import functools
import math
from collections.abc import Sequence

import flax.linen as nn
import jax.numpy as jnp

from ae_jax.core import errors
from ae_jax.models.nets import ImageEncoder, downsampled, lowering, words
from ae_jax.models.nets.mlp import Mlp


class Conv(nn.Module):
    """A convolution with bias and SAME padding, [N, H, W, C] -> [N, H/stride, W/stride, features], rounded up;
    `transposed` enlarges by the stride instead. Parameters and numbers of `nn.Conv` and `nn.ConvTranspose`.
    """

    features: int
    kernel: int
    stride: int = 1
    transposed: bool = False
    kernel_init: str = "lecun_normal"

    @nn.compact
    def __call__(self, x):
        shape = (self.kernel, self.kernel, x.shape[-1], self.features)
        kernel = self.param("kernel", words.initializer(self.kernel_init), shape)
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        x, kernel, bias = nn.dtypes.promote_dtype(x, kernel, bias)
        convolve = lowering.conv_transpose2d if self.transposed else lowering.conv2d
        return convolve(x, kernel, (self.stride, self.stride)) + bias[None, None, None]


def _pool(x, size: int, combine, outside: float):
    """Squares combined pixel by pixel: inside a loop on a CPU five times faster than `nn.max_pool` and its gradient."""
    pads = [(-n % size // 2, -n % size - -n % size // 2) for n in x.shape[1:3]]
    x = jnp.pad(x, ((0, 0), *pads, (0, 0)), constant_values=outside)
    n, height, width, channels = x.shape
    squares = x.reshape(n, height // size, size, width // size, size, channels)
    return functools.reduce(combine, [squares[:, :, i, :, j] for i in range(size) for j in range(size)])


def max_pool(x, size: int):
    """Maximum of squares of `size` x `size`, SAME padding: [N, H, W, C] -> [N, H/size, W/size, C], rounded up."""
    return _pool(x, size, jnp.maximum, -jnp.inf)


def average_pool(x, size: int):
    """Mean of the pixels there are in squares of `size` x `size`, SAME padding, the padding not counted."""
    return _pool(x, size, jnp.add, 0.0) / _pool(jnp.ones_like(x[:1, :, :, :1]), size, jnp.add, 0.0)


_DOWN = {"stride": None, "max_pool": max_pool, "average_pool": average_pool}
_UP = ("transposed", "nearest")


def _per_layer(word: str, value: int | Sequence[int], channels: Sequence[int]) -> tuple[int, ...]:
    """One number for all layers, or a number for each."""
    values = (value,) * len(channels) if isinstance(value, int) else tuple(value)
    if len(values) != len(channels) or min(values, default=0) < 1:
        raise errors.UserError(
            f"model.{word} is {value} beside model.channels {tuple(channels)}\n"
            "expected one positive number for all layers, or as many as there are channels"
        )
    return values


def check_image(who: str, shape: Sequence[int], channels: Sequence[int]):
    """Raises UserError for examples that are no images, or no channels for them."""
    if not channels:
        raise errors.UserError(f"model.channels of a convolutional {who} is empty\nexpected at least one number")
    if len(shape) != 3:
        raise errors.UserError(
            f"a convolutional {who} is for images (height, width, channels), not for examples of shape {tuple(shape)}\n"
            f"try model.{who}=mlp"
        )


class Encoder(ImageEncoder):
    """For each of `channels` a convolution, the activation, and a step down; then dense layers: [N, H, W, C] -> [N, F].

    kernel, stride: one number, or one for each of `channels`.
    hidden: widths of the dense layers; with none, the features are the last image [h, w, C] laid out flat.
    down: how a step shrinks the image: the "stride" of the convolution itself, "max_pool" or "average_pool".
    spatial: whether the last image [N, h, w, C] is returned as it is, without dense layers.
    """

    channels: Sequence[int] = (32, 64)
    kernel: int | Sequence[int] = 4
    stride: int | Sequence[int] = 2
    hidden: Sequence[int] = (256,)
    activation: str = "relu"
    kernel_init: str = "lecun_normal"
    down: str = "stride"
    spatial: bool = False

    def image_size(self, shape):
        return downsampled(shape, _per_layer("stride", self.stride, self.channels))

    @nn.compact
    def __call__(self, x):
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
    """The encoder's mirror image, from the same words in the same order: [N, D] -> [N, *shape], no last activation.

    shape: (H, W, C), of any size; what the steps up give too much is cut off at the lower and right edges.
    up: how a step enlarges the image: a "transposed" convolution, or a convolution and "nearest" neighbours.
    project: whether a dense layer makes the first, smallest image from the code; without it the code is that image.
    final_kernel: size of a last convolution without a step; 0 for none, the last step then giving the output itself.
    spatial: whether the latent has numbers for each place of the smallest image, and no dense layers follow it.
    """

    channels: Sequence[int] = (32, 64)
    kernel: int | Sequence[int] = 4
    stride: int | Sequence[int] = 2
    hidden: Sequence[int] = (256,)
    activation: str = "relu"
    kernel_init: str = "lecun_normal"
    up: str = "transposed"
    project: bool = True
    final_kernel: int = 0
    spatial: bool = False

    @nn.compact
    def __call__(self, z, shape: tuple[int, ...]):
        check_image("decoder", shape, self.channels)
        if self.up not in _UP:
            raise errors.unknown("model.up", self.up, _UP)
        if self.up == "nearest" and not self.final_kernel:
            raise errors.UserError(
                "model.up 'nearest' would end in blocks of equal pixels\nset model.final_kernel, say 3"
            )
        activation = words.activation(self.activation)
        kernels = _per_layer("kernel", self.kernel, self.channels)
        strides = _per_layer("stride", self.stride, self.channels)
        sizes = [tuple(shape[:2])]
        for stride in strides:
            sizes.append(tuple(-(-size // stride) for size in sizes[-1]))

        smallest = (*sizes.pop(), self.channels[-1])
        x = z if self.spatial else Mlp(self.hidden[::-1], self.activation, self.kernel_init)(z)
        if self.spatial:
            # A latent at each place of the smallest image.
            at_places = x.reshape(len(x), *smallest[:2], -1)
            x = activation(nn.Dense(smallest[-1], kernel_init=words.initializer(self.kernel_init))(at_places))
        elif self.project:
            x = activation(nn.Dense(math.prod(smallest), kernel_init=words.initializer(self.kernel_init))(x))
        elif x.shape[-1] != math.prod(smallest):
            raise errors.UserError(
                f"model.project is off, and a code of {x.shape[-1]} is no image {smallest}\n"
                f"expected a code of {math.prod(smallest)} numbers, the encoder's last image laid out flat"
            )
        x = x.reshape(len(x), *smallest)

        outputs = self.channels[::-1] if self.final_kernel else (*self.channels[-2::-1], shape[-1])
        steps = zip(outputs, kernels[::-1], strides[::-1], sizes[::-1], strict=True)
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
