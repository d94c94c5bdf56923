"""A causal transformer: each place reads the places before it.

Vaswani et al. 2017, "Attention is all you need", arXiv:1706.03762, with the normalisation before each part (Radford et
al. 2019, GPT-2).
"""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp


class Block(nn.Module):
    """Causal self-attention and a dense network, each added to its input.

    `__call__` computes all places at once. `step` computes one place, from the keys and values of those before it.

    Args:
      width: D, the size of a place.
      heads: the number of attention heads, which must divide the width.
      dropout: the probability by which an addition is dropped in training.
    """

    width: int
    heads: int
    dropout: float = 0.0

    def setup(self):
        """Make the layers."""
        self.norm_attention, self.norm_dense = nn.LayerNorm(), nn.LayerNorm()
        self.read = nn.Dense(3 * self.width, use_bias=False)
        self.join = nn.Dense(self.width)
        self.widen, self.narrow = nn.Dense(4 * self.width), nn.Dense(self.width)
        self.drop = nn.Dropout(self.dropout)

    def __call__(self, x, train: bool = False):
        """Return the activations of all places, [B, T, D]."""
        queries, keys, values = self._read(x)
        places = jnp.arange(x.shape[1])
        x = x + self.drop(self._attend(queries, keys, values, places[:, None] >= places[None]), not train)
        return x + self.drop(self._dense(x), not train)

    def step(self, x, cache, place):
        """Return the activations [B, D] of one place, and the cache with its keys and values.

        Args:
          x: the activations [B, D] below.
          cache: keys and values [B, T, heads, D / heads] of the places before.
          place: the number of the place.
        """
        queries, key, value = self._read(x[:, None])
        keys, values = (
            jax.lax.dynamic_update_slice_in_dim(old, new, place, axis=1)
            for old, new in zip(cache, (key, value), strict=True)
        )
        x = x + self._attend(queries, keys, values, (jnp.arange(keys.shape[1]) <= place)[None])[:, 0]
        return x + self._dense(x), (keys, values)

    def _read(self, x):
        """Return queries, keys and values, [B, T, heads, D / heads] each."""
        read = self.read(self.norm_attention(x)).reshape(*x.shape[:2], 3, self.heads, -1)
        return read[:, :, 0], read[:, :, 1], read[:, :, 2]

    def _attend(self, queries, keys, values, seen):
        """Return means of the values [B, T, ...], weighted by attention of queries [B, Q, ...].

        A query sees the positions that the mask, bool [Q, T], allows.
        """
        scores = jnp.einsum("bqhd,bthd->bhqt", queries, keys) / math.sqrt(queries.shape[-1])
        weights = jax.nn.softmax(jnp.where(seen[None, None], scores, -jnp.inf), axis=-1)
        found = jnp.einsum("bhqt,bthd->bqhd", weights, values)
        return self.join(found.reshape(*found.shape[:2], -1))

    def _dense(self, x):
        return self.narrow(nn.gelu(self.widen(self.norm_dense(x))))


class Transformer(nn.Module):
    """Map tokens to logits, each from the tokens before it.

    See `ae_jax.models.autoregressive.Autoregressive`.

    Args:
      length: T, the number of places.
      size: K, the number of different tokens.
      width: D, the size of a place.
      layers: the number of blocks.
      heads: the number of attention heads of a block.
      dropout: the probability of dropout in training.
    """

    length: int
    size: int
    width: int
    layers: int
    heads: int
    dropout: float = 0.0

    def setup(self):
        """Make the layers.

        The last layer starts at zero, so that all tokens are equally probable at first.
        """
        # A matrix product in place of a lookup, whose gradient would be a scatter, which is slow.
        self.embed = nn.Dense(self.width)
        self.of_label = nn.Dense(self.width)
        self.places = self.param("places", nn.initializers.normal(0.02), (self.length, self.width))
        self.blocks = [Block(self.width, self.heads, self.dropout) for _ in range(self.layers)]
        self.norm = nn.LayerNorm()
        self.logits = nn.Dense(self.size, kernel_init=nn.initializers.zeros)
        self.drop = nn.Dropout(self.dropout)

    def __call__(self, tokens, label=None, train: bool = False):
        """Return logits [B, T, K] of one-hot tokens [B, T, K], each from the tokens before it."""
        before = jnp.pad(tokens[:, :-1], ((0, 0), (1, 0), (0, 0)))
        x = self.embed(before) + self.places[None]
        if label is not None:
            x = x + self.of_label(label)[:, None]
        x = self.drop(x, not train)
        for block in self.blocks:
            x = block(x, train)
        return self.logits(self.norm(x))

    @nn.nowrap
    def begin(self, count: int):
        """Return the empty caches of all blocks for `count` examples."""
        empty = jnp.zeros((count, self.length, self.heads, self.width // self.heads))
        return ((empty, empty),) * self.layers

    def step(self, state, before, place, label=None):
        """Return the next caches and the logits [B, K] at one place.

        Args:
          state: the caches of all blocks.
          before: the token before, one-hot [B, K]; zeros at place 0.
          place: the number of the place.
          label: label vectors [B, L], or None.
        """
        x = self.embed(before) + self.places[place][None]
        if label is not None:
            x = x + self.of_label(label)
        caches = []
        for block, cache in zip(self.blocks, state, strict=True):
            x, cache = block.step(x, cache, place)
            caches.append(cache)
        return tuple(caches), self.logits(self.norm(x))
