"""Recurrent networks over sequences: the first axis of an example is time (the rows of an image, a series)."""

import math
from collections.abc import Sequence

import flax.linen as nn
import jax.numpy as jnp


class Encoder(nn.Module):
    """LSTM layers over time: [N, T, ...] -> the last layer's last output [N, hidden[-1]]."""

    hidden: Sequence[int] = (128,)

    @nn.compact
    def __call__(self, x):
        x = x.reshape(*x.shape[:2], -1)
        for features in self.hidden:
            x = nn.RNN(nn.OptimizedLSTMCell(features))(x)
        return x[:, -1]


class Decoder(nn.Module):
    """The code at every time step, LSTM layers in the reverse of the encoder's order, a linear layer at every step:
    [N, D] -> [N, T, ...].
    """

    hidden: Sequence[int] = (128,)

    @nn.compact
    def __call__(self, z, shape: tuple[int, ...]):
        x = jnp.broadcast_to(z[:, None], (len(z), shape[0], z.shape[-1]))
        for features in self.hidden[::-1]:
            x = nn.RNN(nn.OptimizedLSTMCell(features))(x)
        return nn.Dense(math.prod(shape[1:]))(x).reshape(len(z), *shape)
