"""MusicVAE: a variational autoencoder of melodies whose decoder writes them event by event, or bar by bar.

Roberts et al. 2018, "A hierarchical latent vector model for learning long-term structure in music", arXiv:1803.05428.
A bar of the hierarchical decoder is written without knowledge of the bars before it but what the conductor says, so
that all bars are written at once.
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

_NOTHING = -1  # what stands before the first event: no class, hence a vector of zeros


class Model(vae.Model):
    """As `vae.Model`, of sequences [T] of classes; reads the random stream "sampling" where it draws events.

    encoder: module, one-hot events [N, T, K] -> features [N, F].
    decoder: module as `nets.autoregressive.Decoder`.
    conductor_hidden: LSTM layers that make a code of each bar, from which the decoder starts anew; none: one code.
    bar: events in a bar.
    memory: of the conductor, as that of `nets.recurrent.Lstm`; encoder and decoder have their own.

    sampling: the key of hparams that is the probability with which, in training, the decoder reads an event of its own
        in place of the true one (Bengio et al. 2015, arXiv:1506.03099, section 2.4); without it, it never does.
    """

    encoder: nn.Module = recurrent.Encoder(bidirectional=True)
    decoder: nn.Module = autoregressive.Decoder()
    likelihood: Callable[[DataSpec], nn.Module] = categorical.Likelihood
    conductor_hidden: Sizes = ()
    bar: Size = 16
    memory: Count = 0

    varying = ("sampling",)
    reads_x = True

    def setup(self):
        if self.spec.kind != "events" or len(self.spec.shape) != 1:
            raise UserError(f"model.name='music' of {self.spec.kind} {self.spec.shape}\nexpected sequences of events")
        if self.conductor_hidden and self.spec.shape[0] % self.bar:
            raise UserError(f"model.bar={self.bar} does not divide {self.spec.shape[0]} events\nexpected a divisor")
        super().setup()
        self.logits = nn.Dense(self.spec.levels)
        if self.conductor_hidden:
            self.conductor = autoregressive.Conductor(self.conductor_hidden, self.memory)

    def __call__(self, batch: Batch, *, num_samples: int = 1, train: bool = False, hparams=None) -> Outputs:
        latents = self.encode(batch, num_samples)
        z = latents[-1].sample
        read = self._read(z, batch)
        if train and "sampling" in (hparams or {}):
            read = self._partly_own(z, read, hparams["sampling"])
        return Outputs(self._given(z, read, batch, train), latents, self.code(latents))

    def features(self, batch: Batch):
        return self.encoder(self._one_hot(batch["inputs"]))

    def decode(self, samples: tuple, batch: Batch, train: bool = False):
        """Codes [S, B, D] -> distribution over x, each event given the true ones before it; in a batch without "x",
        given those that are most probable, in turn, so that the mode is the melody that greedy decoding writes.
        """
        z = samples[-1]
        return self._given(z, self._read(z, batch), batch, train)

    def write(self, z: Any, temperature: float = 0.0):
        """Codes [..., D] -> events [..., T], each fed back: drawn from softmax(logits / temperature), or at 0 the most
        probable one.
        """
        flat = z.reshape(-1, z.shape[-1])

        def choose(key, logits, _):
            return jax.random.categorical(key, logits / temperature) if temperature else jnp.argmax(logits, axis=-1)

        key = self.make_rng("sampling") if temperature else jax.random.key(0)
        given = jnp.zeros((len(flat), *self.spec.shape))
        return self._written(flat, given, key, choose).reshape(*z.shape[:-1], -1).astype(jnp.float32)

    def generate(self, batch: Batch):
        return self.decode(self.prior_codes(batch), {"mask": batch["mask"]})

    def _read(self, z, batch):
        """The melody [B, T] or [S, B, T] that the decoder reads: the true one, or where there is none its own."""
        return batch["x"] if "x" in batch else self.write(z)

    def _one_hot(self, events):
        return jax.nn.one_hot(events.astype(int), self.spec.levels)

    def _parts(self, z):
        """Codes [N, D] -> the codes of what the decoder writes in one go, [N * parts, C]."""
        if not self.conductor_hidden:
            return z
        codes = self.conductor(z, self.spec.shape[0] // self.bar)
        return codes.reshape(-1, codes.shape[-1])

    def _given(self, z, read, batch, train):
        """p(x|z) at codes [S, B, D], each event given those before it in `read` [B, T] or [S, B, T]."""
        codes = self._parts(z.reshape(-1, z.shape[-1]))
        read = jnp.broadcast_to(read, (*z.shape[:2], read.shape[-1])).reshape(len(codes), -1)
        before = jnp.pad(read[:, :-1], ((0, 0), (1, 0)), constant_values=_NOTHING)
        logits = self.logits(self.decoder(codes, self._one_hot(before)))
        return self.p_x(logits.reshape(*z.shape[:2], -1), batch, train)

    def _partly_own(self, z, x, probability):
        """What the decoder reads in training, [S, B, T]: events of x [B, T] and, with `probability`, its own draws.

        They are written first, without a gradient, and read afterwards, all steps at once: as draws have none, the
        gradient is that of drawing them on the way.
        """

        def choose(key, logits, true):
            key_whether, key_what = jax.random.split(key)
            is_own = jax.random.bernoulli(key_whether, probability, true.shape)
            return jnp.where(is_own, jax.random.categorical(key_what, logits), true)

        given = jnp.broadcast_to(x[None], (*z.shape[:2], x.shape[-1])).reshape(-1, x.shape[-1])
        events = self._written(z.reshape(len(given), -1), given, self.make_rng("sampling"), choose)
        return jax.lax.stop_gradient(events.reshape(*z.shape[:2], -1))

    def _written(self, z, given, key, choose):
        """Events [N, T] by codes [N, D], each `choose(key, logits [M, K], given [M])` -> [M] and read by the next."""
        codes = self._parts(z)
        given = given.reshape(len(codes), -1).astype(int)
        if self.is_initializing():  # what is unbound below must have its parameters
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
