"""Networks that write a sequence: each step reads a code and what stood before it.

Roberts et al. 2018, "A hierarchical latent vector model", arXiv:1803.05428, section 3.2 and figure 2.
"""

from collections.abc import Sequence

import flax.linen as nn
import jax.numpy as jnp

from ae_jax.core.forms import Count, Sizes
from ae_jax.models.nets.recurrent import Lstm


class States(nn.Module):
    """Codes [N, D] -> states (h, c) [N, features] for LSTM layers of these sizes: tanh of a linear map."""

    hidden: Sequence[int]

    @nn.compact
    def __call__(self, z):
        parts = jnp.split(jnp.tanh(nn.Dense(2 * sum(self.hidden))(z)), 2, axis=-1)
        edges = [sum(self.hidden[:place]) for place in range(1, len(self.hidden))]
        return list(zip(*(jnp.split(part, edges, axis=-1) for part in parts), strict=True))


class Decoder(nn.Module):
    """Write a sequence with LSTM layers that begin in states made of the latent, and read it at every step.

    All steps are taken at once where what stood before is known (`__call__`), or one at a time (`begin`, then `step`).

    Args:
      hidden: widths of the LSTM layers.
      memory: number of steps of the chrono initialisation, for up to which cells remember before anything is learnt
        (Tallec and Ollivier 2018, arXiv:1804.11188); 0 for one or two.
    """

    hidden: Sizes = (256,)
    memory: Count = 0

    def setup(self):
        self.states = States(self.hidden)
        self.context = nn.Dense(4 * self.hidden[0], use_bias=False)
        self.layers = [Lstm(features, memory=self.memory) for features in self.hidden]

    def __call__(self, z, before):
        """Codes [N, D] and what each step reads of the one before it [N, T, F] -> [N, T, hidden[-1]]."""
        states, context = self.begin(z)
        h = before
        for layer, state, added in zip(self.layers, states, self._added(context), strict=True):
            h = layer(h, state, added)
        return h

    def begin(self, z):
        """(the states before the first step, what of the code is read at every step) of codes [N, D]."""
        return self.states(z), self.context(z)

    def step(self, states, context, before):
        """(the states after it, its output [N, hidden[-1]]) of one step that reads `before` [N, F]."""
        h, after = before, []
        for layer, state, added in zip(self.layers, states, self._added(context), strict=True):
            after.append(layer.step(state, h, added))
            h = after[-1][0]
        return after, h

    def _added(self, context):
        return [context, *[None] * (len(self.hidden) - 1)]


class Conductor(nn.Module):
    """LSTM layers that begin in states made of a code and make a code of each part of the sequence, reading nothing."""

    hidden: Sizes = (256,)
    memory: Count = 0  # as `Lstm`'s

    @nn.compact
    def __call__(self, z, parts: int):
        """Codes [N, D] -> [N, parts, hidden[-1]]."""
        h = jnp.zeros((len(z), parts, 0))
        for layer, (features, state) in enumerate(zip(self.hidden, States(self.hidden)(z), strict=True)):
            h = Lstm(features, blind=layer == 0, memory=self.memory)(h, state)
        return h
