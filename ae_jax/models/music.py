"""MusicVAE: a VAE of melodies with an autoregressive decoder, optionally a hierarchical one.

Roberts et al. 2018, "A hierarchical latent vector model for learning long-term structure in music", arXiv:1803.05428.
In the hierarchical decoder, a conductor makes an embedding of each bar from the latent. A bar depends on the other bars
only through its embedding, so that all bars are written in parallel.
"""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from ae_jax.core.errors import UserError
from ae_jax.core.forms import Count, Size, Sizes
from ae_jax.core.types import Batch, DataSpec, Outputs
from ae_jax.models import vae
from ae_jax.models.likelihoods import categorical
from ae_jax.models.nets import autoregressive, recurrent

# The event before the first event. It is no class, so that its one-hot vector is zero.
_NOTHING = -1


class Model(vae.Model):
    """Extend `vae.Model` to sequences [T] of events.

    Events are drawn from the random stream "sampling".

    In training the decoder reads the true events (teacher forcing), or with scheduled sampling (Bengio et al. 2015,
    arXiv:1506.03099, section 2.4) sometimes its own. hparams["sampling"] is the probability of an own event; with
    model.sampling=None it is 0. When the model writes a melody, the decoder reads its own events (free running).

    Args:
      encoder: a module, one-hot events [N, T, K] -> features [N, F].
      decoder: a module with the methods of `ae_jax.models.nets.autoregressive.Decoder`.
      likelihood: a function from `spec` to a module of `ae_jax.models.likelihoods`.
      conductor_hidden: the sizes of the conductor's LSTM layers; empty for a decoder that is not hierarchical.
      bar: the number of events in a bar, which only the hierarchical decoder reads; None for the bar of the data.
      memory: the memory of chrono initialisation in the conductor, in bars; 0 for biases of zero.

    Raises:
      UserError: if the data are not sequences of events, or if `bar` does not divide them.
    """

    encoder: nn.Module = recurrent.Encoder(bidirectional=True)
    decoder: nn.Module = autoregressive.Decoder()
    likelihood: Callable[[DataSpec], nn.Module] = categorical.Likelihood
    conductor_hidden: Sizes = ()
    bar: Size | None = None
    memory: Count = 0

    kinds = ("events",)
    varying = ("sampling",)
    reads_x = True

    def setup(self):
        """Check the data, and make the VAE, the layer of logits and the conductor."""
        if self.spec.kind != "events" or len(self.spec.shape) != 1:
            raise UserError(
                f"model.name='music' is not for {self.spec.kind} of shape {tuple(self.spec.shape)}\n"
                "expected sequences of events, such as data.name=melodies_2bar"
            )
        if self.conductor_hidden and self.spec.shape[0] % self._bar:
            raise UserError(f"model.bar={self._bar} does not divide {self.spec.shape[0]} events\nexpected a divisor")
        super().setup()
        self.logits = nn.Dense(self.spec.levels)
        if self.conductor_hidden:
            self.conductor = autoregressive.Conductor(self.conductor_hidden, self.memory)

    @property
    def _bar(self) -> int:
        """Return the number of events in a bar."""
        return self.bar or self.spec.bar

    def __call__(self, batch: Batch, *, num_samples: int = 1, train: bool = False, hparams=None) -> Outputs:
        """Encode batch["inputs"] and explain batch["x"]; see `ae_jax.models.base.Family`."""
        latents = self.encode(batch, num_samples)
        z = latents[-1].sample
        read = self._read(z, batch)
        if train and "sampling" in (hparams or {}):
            read = self._partly_own(z, read, hparams["sampling"])
        return Outputs(self._given(z, read, batch, train), latents, self.code(latents))

    def features(self, batch: Batch):
        """Return the encoder's features of batch["inputs"] [B, T], [B, F]."""
        return self.encoder(self._one_hot(batch["inputs"]))

    def decode(self, samples: tuple, batch: Batch, train: bool = False):
        """Return p(x | z), batch shape [S, B]; each event is predicted from the events before it.

        These are the true events batch["x"] (teacher forcing). In a batch without "x" they are those that greedy
        decoding writes, so that the mode of the distribution is the melody of greedy decoding.

        Args:
          samples: latents, one array [S, B, D].
          batch: "x" [B, T] is read, if it is there.
          train: whether this is a training step.
        """
        z = samples[-1]
        return self._given(z, self._read(z, batch), batch, train)

    def write(self, z: Any, temperature: float = 0.0):
        """Write melodies, events [..., T], event by event (free running).

        Args:
          z: latents [..., D].
          temperature: events are drawn from softmax(logits / temperature); 0 for the most probable event (greedy).
        """
        flat = z.reshape(-1, z.shape[-1])

        def choose(key, logits, _):
            return jax.random.categorical(key, logits / temperature) if temperature else jnp.argmax(logits, axis=-1)

        # Greedy decoding draws nothing and needs no random stream. The key only gives the scan its shape.
        key = self.make_rng("sampling") if temperature else jax.random.key(0)
        given = jnp.zeros((len(flat), *self.spec.shape))
        return self._written(flat, given, key, choose).reshape(*z.shape[:-1], -1).astype(jnp.float32)

    def generate(self, batch: Batch):
        """Return p(x | z) at latents from the prior, batch shape [1, B], as `decode` without "x".

        Args:
          batch: "mask" [B] tells how many latents to draw.
        """
        return self.decode(self.prior_codes(batch), {"mask": batch["mask"]})

    def _read(self, z, batch):
        """Return the melodies that the decoder reads: true ones [B, T], or else its own [S, B, T]."""
        return batch["x"] if "x" in batch else self.write(z)

    def _one_hot(self, events):
        """Return one-hot vectors [..., K] of events [...]; zeros for `_NOTHING`."""
        return jax.nn.one_hot(events.astype(int), self.spec.levels)

    def _parts(self, z):
        """Return what the decoder reads: latents [N, D], or embeddings of their bars [N * bars, C]."""
        if not self.conductor_hidden:
            return z
        codes = self.conductor(z, self.spec.shape[0] // self._bar)
        return codes.reshape(-1, codes.shape[-1])

    def _given(self, z, read, batch, train):
        """Return p(x | z) at latents [S, B, D].

        Each event is given those before it in `read`, [B, T] or [S, B, T].
        """
        codes = self._parts(z.reshape(-1, z.shape[-1]))
        # In a hierarchical decoder, the reshape cuts the events into bars, each of which starts after `_NOTHING`.
        read = jnp.broadcast_to(read, (*z.shape[:2], read.shape[-1])).reshape(len(codes), -1)
        before = jnp.pad(read[:, :-1], ((0, 0), (1, 0)), constant_values=_NOTHING)
        logits = self.logits(self.decoder(codes, self._one_hot(before)))
        return self.p_x(logits.reshape(*z.shape[:2], -1), batch, train)

    def _partly_own(self, z, x, probability):
        """Return what the decoder reads in scheduled sampling, [S, B, T].

        Each event is the decoder's own draw with `probability`, or else the true event of x [B, T]. All events are
        chosen in a first pass without gradients. The loss then reads them in a second pass, all steps at once. Draws
        have no gradient, so the gradient is the same as if the loss were computed in the first pass.
        """

        def choose(key, logits, true):
            key_coin, key_event = jax.random.split(key)
            is_own = jax.random.bernoulli(key_coin, probability, true.shape)
            return jnp.where(is_own, jax.random.categorical(key_event, logits), true)

        given = jnp.broadcast_to(x[None], (*z.shape[:2], x.shape[-1])).reshape(-1, x.shape[-1])
        events = self._written(z.reshape(len(given), -1), given, self.make_rng("sampling"), choose)
        return jax.lax.stop_gradient(events.reshape(*z.shape[:2], -1))

    def _written(self, z, given, key, choose):
        """Write events [N, T] one by one from latents [N, D]; each step reads the event before it.

        Args:
          z: latents [N, D].
          given: the true events [N, T], for `choose`.
          key: a random key.
          choose: a function (key, logits [M, K], true events [M]) -> events [M] of one step.
        """
        codes = self._parts(z)
        given = given.reshape(len(codes), -1).astype(int)
        # `jax.lax.scan` may not call bound modules, and unbound ones make no parameters of their own.
        if self.is_initializing():
            self.logits(self.decoder(codes, self._one_hot(given)))
        (decoder, decoder_variables), (head, head_variables) = self.decoder.unbind(), self.logits.unbind()
        states, context = decoder.apply(decoder_variables, codes, method="begin")

        def one(carry, at):
            (states, event), (key, true) = carry, at
            states, h = decoder.apply(decoder_variables, states, context, self._one_hot(event), method="step")
            event = choose(key, head.apply(head_variables, h), true).astype(int)
            return (states, event), event

        first = jnp.full(len(codes), _NOTHING)
        _, events = jax.lax.scan(one, (states, first), (jax.random.split(key, given.shape[1]), given.T))
        return events.T.reshape(len(z), -1)
