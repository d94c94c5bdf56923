"""Recurrent networks that write a sequence: a step reads the latent and the step before it.

Roberts et al. 2018, "A hierarchical latent vector model", arXiv:1803.05428, section 3.2 and figure 2.
"""

from collections.abc import Sequence

import flax.linen as nn
import jax.numpy as jnp

from ae_jax.core.errors import UserError
from ae_jax.core.forms import Count, Sizes
from ae_jax.models.nets.recurrent import Lstm


class States(nn.Module):
    """Map latents [N, D] to initial states (h, c) of LSTM layers, by tanh of a linear map.

    Args:
      hidden: the sizes of the LSTM layers.
    """

    hidden: Sequence[int]

    @nn.compact
    def __call__(self, z):
        """Return a list of one state (h, c) for each layer, from latents [N, D]."""
        # One product for all layers: first every h, then every c.
        h, c = jnp.split(jnp.tanh(nn.Dense(2 * sum(self.hidden))(z)), 2, axis=-1)
        edges = [sum(self.hidden[:place]) for place in range(1, len(self.hidden))]
        return list(zip(jnp.split(h, edges, axis=-1), jnp.split(c, edges, axis=-1), strict=True))


class Decoder(nn.Module):
    """Write a sequence by LSTM layers; each step reads the latent and the step before it.

    The initial states are made from the latent too.

    `__call__` computes all steps at once where every step before is known (teacher forcing). `begin` and then `step`
    compute one step at a time (free running).

    Args:
      hidden: the sizes of the LSTM layers.
      memory: the memory of chrono initialisation, in steps; 0 for biases of zero. See `recurrent.Lstm`.
    """

    hidden: Sizes = (256,)
    memory: Count = 0

    def setup(self):
        """Make the map to initial states, the map of the latent into the gates, and the LSTM layers."""
        self.states = States(self.hidden)
        # Without a bias: the first LSTM layer adds its own.
        self.context = nn.Dense(4 * self.hidden[0], use_bias=False)
        self.layers = [Lstm(features, memory=self.memory) for features in self.hidden]

    def __call__(self, z, before):
        """Return the outputs of all steps, [N, T, hidden[-1]].

        Args:
          z: latents [N, D].
          before: what each step reads of the step before it, [N, T, F].

        Raises:
          UserError: the model has no sequences.
        """
        # Models of images give every decoder a shape here.
        if isinstance(before, tuple):
            raise UserError(
                "decoder 'autoregressive' writes sequences of events, and this model has none\n"
                "use model.name=music, or another model.decoder such as mlp"
            )
        states, context = self.begin(z)
        h = before
        for layer, state, added in zip(self.layers, states, self._added(context), strict=True):
            h = layer(h, state, added)
        return h

    def begin(self, z):
        """Return the initial states, and the context that every step reads, for latents [N, D]."""
        return self.states(z), self.context(z)

    def step(self, states, context, before):
        """Compute one step.

        Args:
          states: one state (h, c) for each layer, from `begin` or from the step before.
          context: the context from `begin`, [N, 4 hidden[0]].
          before: what this step reads of the step before it, [N, F].

        Returns:
          The states after the step, and its output [N, hidden[-1]].
        """
        h, after = before, []
        for layer, state, added in zip(self.layers, states, self._added(context), strict=True):
            after.append(layer.step(state, h, added))
            h = after[-1][0]
        return after, h

    def _added(self, context):
        """Return what is added to the gates of each layer: only the first layer reads the latent."""
        return [context, *[None] * (len(self.hidden) - 1)]


class Conductor(nn.Module):
    """LSTM layers that read only the latent, and make one embedding for each part of a sequence.

    Args:
      hidden: the sizes of the LSTM layers.
      memory: the memory of chrono initialisation, in parts; 0 for biases of zero. See `recurrent.Lstm`.
    """

    hidden: Sizes = (256,)
    memory: Count = 0

    @nn.compact
    def __call__(self, z, parts: int):
        """Return one embedding for each part, [N, parts, hidden[-1]].

        Args:
          z: latents [N, D], from which the layers' initial states are made.
          parts: the number of parts.
        """
        # The first layer is blind: of its input it reads the number of steps, hence no features.
        h = jnp.zeros((len(z), parts, 0))
        for layer, (features, state) in enumerate(zip(self.hidden, States(self.hidden)(z), strict=True)):
            h = Lstm(features, blind=layer == 0, memory=self.memory)(h, state)
        return h
