"""The base class of models that predict each token of an example from the tokens before it.

The probability of an example is exact: the product of those of its tokens, in raster order.
"""

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from ae_jax.core.distributions import Bernoulli, Categorical
from ae_jax.core.errors import UserError
from ae_jax.core.types import Batch, Latent, Outputs
from ae_jax.core.unconditional import Point
from ae_jax.models import base


class Autoregressive(base.Family):
    """Model tokens, events or binary pixels one after the other, without latents.

    A subclass makes the module `network` in `setup`. It maps one-hot tokens [B, T, K] and label vectors [B, L] or None
    to logits [B, T, K], of which those at place t depend on the tokens before t alone. It has two more methods.
    `begin(count)` returns a state. `step(state, before, place, label)` returns the next state and the logits [B, K] at
    a place, where `before` [B, K] is the token before it, one-hot, and zero at place 0.

    Draws read the random stream "latent". Pixels are Bernoulli variables. The likelihood of grey pixels is a surrogate.

    Args:
      spec: the shape and kind of one example.
      conditional: whether the distribution depends on batch["label"].

    Raises:
      UserError: if the examples are of another kind, or have no labels for a conditional model.
    """

    conditional: bool = False

    kinds = ("tokens", "events", "pixels")
    networks = ("network",)

    @property
    def reads_label(self) -> bool:
        """Tell whether the distribution depends on batch["label"]."""
        return self.conditional

    @property
    def support(self) -> tuple[float, float]:
        """Return the least and the greatest value of x that has a likelihood."""
        return 0, 1 if self.spec.kind == "pixels" else self.spec.levels - 1

    @property
    def size(self) -> int:
        """Return K, the number of different tokens."""
        return 2 if self.spec.kind == "pixels" else self.spec.levels

    @property
    def length(self) -> int:
        """Return T, the number of tokens in an example."""
        return math.prod(self.spec.shape)

    @nn.nowrap
    def check(self):
        """Raise UserError for examples that this model is not for."""
        if self.spec.kind not in self.kinds:
            raise UserError(
                f"an autoregressive model is not for {self.spec.kind}\n"
                "use tokens, such as data.source=codes of a run with a discrete latent, events or binary pixels"
            )
        if self.conditional and not self.spec.label_width:
            raise UserError(
                "model.conditional=True needs labels, and these data have none\nuse model.conditional=False"
            )

    def __call__(self, batch: Batch, *, num_samples: int = 1, train: bool = False, hparams=None) -> Outputs:
        """Return the distribution of batch["x"], each token given the true tokens before it."""
        x = batch["x"]
        logits = self.network(self._one_hot(x.reshape(len(x), -1)), self._label(batch), train)
        logits = jnp.broadcast_to(logits[None], (num_samples, *logits.shape))
        return Outputs(self._distribution(logits), (), jnp.zeros((len(x), 0)))

    def encode(self, batch: Batch, num_samples: int = 1) -> tuple[Latent, ...]:
        """Return no latents."""
        return ()

    def generate(self, batch: Batch) -> Point:
        """Draw examples token by token, batch shape [1, B]; see `draw`."""
        return Point(self.draw(batch)[None], event_ndims=len(self.spec.shape))

    def draw(self, batch: Batch, temperature: float = 1.0, top_k: int = 0):
        """Draw examples [B, *shape] token by token; see `ae_jax.models.base.Family`."""
        count, label = len(batch["mask"]), self._label(batch)
        # `jax.lax.scan` may not call bound modules, and unbound ones make no parameters of their own.
        if self.is_initializing():
            self.network(jnp.zeros((count, self.length, self.size)), label)
        network, variables = self.network.unbind()

        def one(carry, at):
            (state, before), (place, key) = carry, at
            state, logits = network.apply(variables, state, before, place, label, method="step")
            token = jax.random.categorical(key, tempered(logits, temperature, top_k))
            return (state, jax.nn.one_hot(token, self.size)), token

        keys = jax.random.split(self.make_rng("latent"), self.length)
        first = (network.apply(variables, count, method="begin"), jnp.zeros((count, self.size)))
        _, tokens = jax.lax.scan(one, first, (jnp.arange(self.length), keys))
        return tokens.T.reshape(count, *self.spec.shape).astype(jnp.float32)

    def first_state(self, count: int) -> Any:
        """Return the state of `next_logits` before the first token of `count` examples."""
        return self.network.begin(count)

    def next_logits(self, state: Any, before: Any, place: Any) -> tuple[Any, Any]:
        """Return the next state and the logits [B, K] at a place; see `ae_jax.models.base.Family`."""
        return self.network.step(state, jax.nn.one_hot(before, self.size), place)

    def _one_hot(self, x):
        """Return one-hot tokens [..., K]; a grey pixel is a mixture of both."""
        if self.spec.kind == "pixels":
            return jnp.stack([1 - x, x], axis=-1)
        return jax.nn.one_hot(x.astype(jnp.int32), self.size)

    def _label(self, batch: Batch):
        """Return the label vectors [B, L] of a conditional model, else None."""
        if not self.conditional:
            return None
        label = batch["label"]
        return label if self.spec.label_dim else jax.nn.one_hot(label, self.spec.classes)

    def _distribution(self, logits) -> Any:
        """Return the distribution of examples with these logits [S, B, T, K]."""
        rank = len(self.spec.shape)
        logits = logits.reshape(*logits.shape[:2], *self.spec.shape, self.size)
        if self.spec.kind == "pixels":
            # The log-odds of a softmax over two classes are the difference of its logits.
            return Bernoulli(logits[..., 1] - logits[..., 0], event_ndims=rank)
        return Categorical(logits, event_ndims=rank)


def tempered(logits, temperature: float, top_k: int):
    """Return logits [..., K] over a temperature, only the `top_k` largest finite; 0 keeps all."""
    if top_k:
        least = jax.lax.top_k(logits, min(top_k, logits.shape[-1]))[0][..., -1:]
        # Tokens that tie with the least one all stay, so there may be more than `top_k`.
        logits = jnp.where(logits < least, -jnp.inf, logits)
    return logits / temperature
