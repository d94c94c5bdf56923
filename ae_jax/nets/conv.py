"""Convolutional networks over images [N, H, W, C]: an encoder to features, and its mirror image."""

from collections.abc import Sequence

import flax.linen as nn
import jax.numpy as jnp

from ae_jax import errors
from ae_jax.nets import lowering, words
from ae_jax.nets.mlp import Mlp

_DOWN = ("stride", "max_pool", "average_pool")
_UP = ("transposed", "nearest")


class Conv(nn.Module):
    """A convolution with bias, SAME padding; `transposed` enlarges by the stride."""

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
        convolve = lowering.conv_transpose2d if self.transposed else lowering.conv2d
        return convolve(x, kernel, (self.stride, self.stride)) + bias


def pool(x, stride: int, reduce):
    """`reduce` over squares of `stride` x `stride`, cut off at the lower and right edges: [N, H/s, W/s, C], rounded up.

    Reshapes and reductions, whose gradient is as cheap inside a loop as outside, where that of `nn.max_pool` is not.
    """
    n, height, width, channels = x.shape
    h, w = -(-height // stride), -(-width // stride)
    edges = ((0, 0), (0, h * stride - height), (0, w * stride - width), (0, 0))
    x = jnp.pad(x, edges, constant_values=-jnp.inf if reduce is jnp.max else 0)
    return reduce(x.reshape(n, h, stride, w, stride, channels), axis=(2, 4))


class Encoder(nn.Module):
    """For each of `channels` a convolution, the activation, and a step down; then dense layers: [N, H, W, C] -> [N, F].

    down: how a step halves (for stride 2) the image: "stride" of the convolution itself, "max_pool" or "average_pool".
    """

    channels: Sequence[int] = (32, 64)
    kernel: int = 4
    stride: int = 2
    hidden: Sequence[int] = (256,)
    activation: str = "relu"
    kernel_init: str = "lecun_normal"
    down: str = "stride"

    @nn.compact
    def __call__(self, x):
        if self.down not in _DOWN:
            raise errors.unknown("model.down", self.down, _DOWN)
        for features in self.channels:
            stride = self.stride if self.down == "stride" else 1
            x = Conv(features, self.kernel, stride, kernel_init=self.kernel_init)(x)
            x = words.activation(self.activation)(x)
            if self.down != "stride":
                x = pool(x, self.stride, jnp.max if self.down == "max_pool" else jnp.mean)
        return Mlp(self.hidden, self.activation, self.kernel_init)(x.reshape(len(x), -1))


class Decoder(nn.Module):
    """The encoder's mirror image, from the same words: [N, D] -> [N, *shape], no activation.

    up: how a step doubles (for stride 2) the image: a "transposed" convolution, or a convolution of the "nearest"
        enlargement.
    project: whether a dense layer makes the first image from the code; without it the code is that image.
    final_kernel: size of a last convolution without a step; 0 for none, the last step then giving the output itself.
    """

    channels: Sequence[int] = (32, 64)
    kernel: int = 4
    stride: int = 2
    hidden: Sequence[int] = (256,)
    activation: str = "relu"
    kernel_init: str = "lecun_normal"
    up: str = "transposed"
    project: bool = True
    final_kernel: int = 0

    @nn.compact
    def __call__(self, z, shape: tuple[int, ...]):
        if self.up not in _UP:
            raise errors.unknown("model.up", self.up, _UP)
        sizes = [shape[:2]]
        for _ in self.channels:
            sizes.append(tuple(-(-size // self.stride) for size in sizes[-1]))
        x = Mlp(self.hidden[::-1], self.activation, self.kernel_init)(z)
        if self.project:
            init = words.initializer(self.kernel_init)
            x = nn.Dense(sizes[-1][0] * sizes[-1][1] * self.channels[-1], kernel_init=init)(x)
            x = words.activation(self.activation)(x)
        x = x.reshape(len(z), *sizes[-1], -1)
        outputs = [*self.channels[::-1]] if self.final_kernel else [*self.channels[-2::-1], shape[-1]]
        for step, (features, (height, width)) in enumerate(zip(outputs, sizes[-2::-1])):
            if self.up == "transposed":
                x = Conv(features, self.kernel, self.stride, True, self.kernel_init)(x)
            else:
                x = Conv(features, self.kernel, kernel_init=self.kernel_init)(x)
                x = x.repeat(self.stride, axis=1).repeat(self.stride, axis=2)
            x = x[:, :height, :width]
            if self.final_kernel or step < len(outputs) - 1:
                x = words.activation(self.activation)(x)
        return Conv(shape[-1], self.final_kernel, kernel_init=self.kernel_init)(x) if self.final_kernel else x
