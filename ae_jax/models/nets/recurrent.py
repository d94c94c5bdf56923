"""Recurrent networks over sequences: the first axis of an example is time (the rows of an image, a series).

Hochreiter and Schmidhuber 1997, "Long short-term memory", Neural Computation 9, with forget gates (Gers et al. 2000):

    i, f, o = sigmoid(W x + U h + b)    g = tanh(W x + U h + b)    c' = f c + i g    h' = o tanh(c')
"""

import functools
import math

import flax.linen as nn
import jax
import jax.numpy as jnp

from ae_jax.core.errors import UserError
from ae_jax.core.forms import Count, Sizes


def step(state, projected, kernel):
    """One step: (h, c) [N, H] each, `projected` = W x + b [N, 4 H] in the order i, f, g, o, U [H, 4 H] -> (h', c')."""
    _, c, h, _ = _gates(*state, projected, kernel)
    return h, c


def _gates(h, c, projected, kernel):
    """(i, f, g, o after their functions, [N, H] each), c', h', tanh(c')."""
    # sigmoid(a) = (1 + tanh(a/2)) / 2: one function for all four is a twentieth of a CPU's time. Not in eight bits, of
    # which the sum would leave nothing of a gate that is nearly closed.
    a = projected + h @ kernel
    scale = jnp.repeat(jnp.array([0.5, 0.5, 1, 0.5], jnp.promote_types(a.dtype, jnp.float32)), h.shape[-1])
    i, f, g, o = jnp.split(jnp.tanh(scale[None] * a), 4, axis=-1)
    i, f, o = ((1 + gate) / 2 for gate in (i, f, o))
    i, f, g, o = (gate.astype(a.dtype) for gate in (i, f, g, o))
    c = f * c + i * g
    bent = jnp.tanh(c)
    return (i, f, g, o), c, o * bent, bent


@functools.partial(jax.custom_vjp, nondiff_argnums=(4,))
def run(projected, kernel, h, c, reverse=False):
    """All steps of an LSTM: `projected` [T, N, 4 H] for all of them at once, from the state (h, c) -> h [T, N, H] at
    every step, and c [N, H] after the last. With `reverse` the last step comes first.
    """

    def one(state, projected):
        state = step(state, projected, kernel)
        return state, state[0]

    (_, c), hs = jax.lax.scan(one, (h, c), projected, reverse=reverse)
    return hs, c


def _forward(projected, kernel, h, c, reverse):
    def one(state, projected):
        gates, c, h, bent = _gates(*state, projected, kernel)
        return (h, c), (gates, c, h, bent)

    (_, last), (gates, cs, hs, bents) = jax.lax.scan(one, (h, c), projected, reverse=reverse)
    return (hs, last), (kernel, h, c, gates, cs, hs, bents)


def _backward(reverse, kept, cotangents):
    # Autodiff of the scan adds up the gradient of the kernel at every step; here the gates' gradients are kept, and the
    # kernel's is one product over time and batch.
    kernel, h, c, gates, cs, hs, bents = kept
    d_hs, d_last = cotangents

    def before(first, states):
        states = (states[1:], first[None]) if reverse else (first[None], states[:-1])
        return jnp.concatenate(states)

    def one(state, at):
        d_h, d_c = state
        d_output, (i, f, g, o), before, bent = at
        d_h = d_h + d_output
        d_c = d_c + d_h * o * (1 - bent * bent)
        parts = [d_c * g * i * (1 - i), d_c * before * f * (1 - f), d_c * i * (1 - g * g), d_h * bent * o * (1 - o)]
        d_gates = jnp.concatenate(parts, axis=-1)
        return (d_gates @ kernel.T, d_c * f), d_gates

    steps = (d_hs, gates, before(c, cs), bents)
    (d_h, d_c), d_gates = jax.lax.scan(one, (jnp.zeros_like(h), d_last), steps, reverse=not reverse)
    inputs = before(h, hs).reshape(-1, h.shape[-1])
    return d_gates, inputs.T @ d_gates.reshape(len(inputs), -1), d_h, d_c


run.defvjp(_forward, _backward)


class Lstm(nn.Module):
    """One layer: x [N, T, F] -> h [N, T, features] at every step. All steps' inputs are projected in one product.

    reverse: whether time runs backwards; the outputs stay in the order of the inputs.
    blind: whether it reads nothing, of x only how long it is.
    memory: for how many steps, at most, a cell keeps what it has before anything is learnt; 0: for one or two.
    """

    features: int
    reverse: bool = False
    blind: bool = False
    memory: int = 0

    def setup(self):
        bias = _remembering(self.memory) if self.memory else nn.initializers.zeros
        if self.blind:
            self.bias = self.param("bias", bias, (4 * self.features,))
        else:
            self.inputs = nn.Dense(4 * self.features, bias_init=bias)
        self.kernel = self.param("kernel", _orthogonal_gates, (self.features, 4 * self.features))

    def __call__(self, x, state=None, context=None):
        """state: (h, c) [N, features] each, to begin with; zeros without it.
        context: [N, 4 features], added to what the inputs of every step are projected to.
        """
        h, c = self.begin(len(x)) if state is None else state
        # Time comes first before the product, not after it, where there are many more numbers to move; as one product
        # of two matrices its gradient is one too, without a transposed copy.
        x = x.swapaxes(0, 1)
        if self.blind:
            projected = jnp.broadcast_to(self.bias, (*x.shape[:2], len(self.bias)))
        else:
            projected = self.inputs(x.reshape(-1, x.shape[-1])).reshape(*x.shape[:2], -1)
        projected = projected + (0 if context is None else context[None])
        hs, _ = run(projected, self.kernel, h, c, self.reverse)
        return hs.swapaxes(0, 1)

    def begin(self, count: int):
        """The state (h, c) before the first step, zeros [count, features] each."""
        zeros = jnp.zeros((count, self.features), self.kernel.dtype)
        return zeros, zeros

    def step(self, state, x, context=None):
        """The state (h, c) after one input x [N, F]."""
        return step(state, self.inputs(x) + (0 if context is None else context), self.kernel)


def _orthogonal_gates(key, shape, dtype=float):
    """A square orthogonal matrix for each of the four gates."""
    draw = jax.nn.initializers.orthogonal()
    keys = jax.random.split(key, 4)
    return jnp.concatenate([draw(one, (shape[0], shape[0]), dtype) for one in keys], axis=1)


def _remembering(memory):
    """Biases of gates by which each cell keeps what it has for a number of steps of its own, b_f = log u = -b_i with
    u ~ U(1, memory - 1) (Tallec and Ollivier 2018, "Can recurrent neural networks warp time?", arXiv:1804.11188).
    """
    if memory < 3:
        raise UserError(f"model.memory={memory}\nexpected 3 steps or more, or 0")

    def draw(key, shape, dtype=float):
        b = jnp.log(jax.random.uniform(key, (shape[0] // 4,), dtype, 1, memory - 1))
        return jnp.concatenate([-b, b, jnp.zeros(2 * len(b), dtype)])

    return draw


class Encoder(nn.Module):
    """Read a sequence with LSTM layers: [N, T, ...] -> the last layer's last output [N, hidden[-1]].

    Args:
      hidden: widths of the LSTM layers.
      bidirectional: whether each layer has a second LSTM, from the end to the beginning. The output then holds the last
        outputs of both, and is twice as long (Schuster and Paliwal 1997, "Bidirectional recurrent neural networks").
      part: number of steps of a part. Each part is read on its own, and then the outputs of all parts, one after
        another, so that nothing is remembered for longer than a part, or the number of parts (Simon et al. 2018,
        "Learning a latent space of multitrack measures", arXiv:1806.00195, section 3). 0 for no parts.
      memory: number of steps of the chrono initialisation, for up to which cells remember before anything is learnt
        (Tallec and Ollivier 2018, arXiv:1804.11188); 0 for one or two.

    Raises:
      UserError: there are no layers, or the part does not divide the steps.
    """

    hidden: Sizes = (128,)
    bidirectional: bool = False
    part: Count = 0
    memory: Count = 0

    @nn.compact
    def __call__(self, x):
        if not self.hidden:
            raise UserError("model.hidden of a recurrent encoder is empty\nexpected the width of at least one layer")
        n, steps = x.shape[:2]
        x = x.reshape(n, steps, -1)
        if self.part:
            if steps % self.part:
                raise UserError(f"model.encoder_part={self.part} does not divide {steps} steps\nexpected a divisor")
            x = self._read(x.reshape(-1, self.part, x.shape[-1])).reshape(n, steps // self.part, -1)
        return self._read(x)

    def _read(self, x):
        """All layers over x [N, T, F] -> [N, hidden[-1]], twice as long in both directions."""
        for features in self.hidden:
            lstm = functools.partial(Lstm, features, memory=self.memory)
            hs = [lstm()(x), *([lstm(reverse=True)(x)] if self.bidirectional else [])]
            x = jnp.concatenate(hs, axis=-1)
        return jnp.concatenate([hs[0][:, -1], *(h[:, 0] for h in hs[1:])], axis=-1)


class Decoder(nn.Module):
    """Repeat the latent at every step, then apply LSTM layers and a linear layer: [N, D] -> [N, T, ...].

    Args:
      hidden: widths of the LSTM layers, in the encoder's order.
    """

    hidden: Sizes = (128,)

    @nn.compact
    def __call__(self, z, shape: tuple[int, ...]):
        x = jnp.broadcast_to(z[:, None], (len(z), shape[0], z.shape[-1]))
        for features in self.hidden[::-1]:
            x = Lstm(features)(x)
        return nn.Dense(math.prod(shape[1:]))(x).reshape(len(z), *shape)
