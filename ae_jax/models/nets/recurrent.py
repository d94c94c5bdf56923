"""Recurrent networks over sequences: the first axis of an example is time.

Long short-term memory (Hochreiter and Schmidhuber 1997, Neural Computation 9) with forget gates (Gers et al. 2000):

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
    """Return the state (h', c') after one step of an LSTM.

    Args:
      state: (h, c), [N, H] each.
      projected: the projected inputs W x + b, [N, 4 H], in the order i, f, g, o.
      kernel: the recurrent weights U, [H, 4 H], in the same order.
    """
    _, c, h, _ = _gates(*state, projected, kernel)
    return h, c


def _gates(h, c, projected, kernel):
    """Return the activated gates (i, f, g, o), then c', h' and tanh(c'), [N, H] each."""
    # sigmoid(a) = (1 + tanh(a / 2)) / 2, so that one tanh serves all four gates: a CPU then trains 5 % faster. The sum
    # is computed in float32, because bfloat16 with its eight bits would round a gate that is nearly closed to zero.
    a = projected + h @ kernel
    scale = jnp.repeat(jnp.array([0.5, 0.5, 1, 0.5], jnp.promote_types(a.dtype, jnp.float32)), h.shape[-1])
    i, f, g, o = jnp.split(jnp.tanh(scale[None] * a), 4, axis=-1)
    i, f, o = ((1 + gate) / 2 for gate in (i, f, o))
    i, f, g, o = (gate.astype(a.dtype) for gate in (i, f, g, o))
    c = f * c + i * g
    tanh_c = jnp.tanh(c)
    return (i, f, g, o), c, o * tanh_c, tanh_c


@functools.partial(jax.custom_vjp, nondiff_argnums=(4,))
def run(projected, kernel, h, c, reverse=False):
    """Compute all steps of an LSTM.

    Args:
      projected: the projected inputs of all steps, W x + b, [T, N, 4 H].
      kernel: the recurrent weights U, [H, 4 H].
      h: the initial output, [N, H].
      c: the initial cell, [N, H].
      reverse: whether time runs from the last step to the first.

    Returns:
      h at every step, [T, N, H], and c after the last step, [N, H].
    """

    def one(state, projected):
        state = step(state, projected, kernel)
        return state, state[0]

    (_, c), hs = jax.lax.scan(one, (h, c), projected, reverse=reverse)
    return hs, c


def _forward(projected, kernel, h, c, reverse):
    """Return the results of `run` and its residuals, with which `_backward` recomputes nothing."""

    def one(state, projected):
        gates, c, h, tanh_c = _gates(*state, projected, kernel)
        return (h, c), (gates, c, h, tanh_c)

    (_, last), (gates, cs, hs, tanh_cs) = jax.lax.scan(one, (h, c), projected, reverse=reverse)
    return (hs, last), (kernel, h, c, gates, cs, hs, tanh_cs)


def _backward(reverse, residuals, cotangents):
    """Return the gradients of `run`'s array arguments by backpropagation through time."""
    # Autodiff of the scan would add up the gradient of the kernel at every step. Here the scan returns the gradients of
    # the gates at all steps, and the gradient of the kernel is one matrix product over time and batch.
    kernel, h, c, gates, cs, hs, tanh_cs = residuals
    d_hs, d_last = cotangents

    def before(first, states):
        """Return the state before each step, given the initial state and the states after each step."""
        if reverse:
            return jnp.concatenate((states[1:], first[None]))
        return jnp.concatenate((first[None], states[:-1]))

    def one(state, at):
        d_h, d_c = state
        d_output, (i, f, g, o), c_before, tanh_c = at
        d_h = d_h + d_output
        d_c = d_c + d_h * o * (1 - tanh_c * tanh_c)
        d_i = d_c * g * i * (1 - i)
        d_f = d_c * c_before * f * (1 - f)
        d_g = d_c * i * (1 - g * g)
        d_o = d_h * tanh_c * o * (1 - o)
        d_gates = jnp.concatenate([d_i, d_f, d_g, d_o], axis=-1)
        return (d_gates @ kernel.T, d_c * f), d_gates

    steps = (d_hs, gates, before(c, cs), tanh_cs)
    (d_h, d_c), d_gates = jax.lax.scan(one, (jnp.zeros_like(h), d_last), steps, reverse=not reverse)
    inputs = before(h, hs).reshape(-1, h.shape[-1])
    d_kernel = inputs.T @ d_gates.reshape(len(inputs), -1)
    return d_gates, d_kernel, d_h, d_c


run.defvjp(_forward, _backward)


class Lstm(nn.Module):
    """Apply one LSTM layer: x [N, T, F] -> h [N, T, features] at every step.

    Args:
      features: the size of the state.
      reverse: whether time runs backwards. The outputs stay in the order of the inputs.
      blind: whether the layer reads nothing of x but the number of steps.
      memory: the memory of chrono initialisation (Tallec and Ollivier 2018, arXiv:1804.11188), in steps: before any
        training, the cells forget over times up to this one. 0 for biases of zero, with which a cell forgets half of
        its value at every step.

    Raises:
      UserError: if `memory` is 1 or 2.
    """

    features: int
    reverse: bool = False
    blind: bool = False
    memory: Count = 0

    def setup(self):
        """Make the input projection, or a bias in its place, and the recurrent kernel."""
        bias = _chrono(self.memory) if self.memory else nn.initializers.zeros
        if self.blind:
            self.bias = self.param("bias", bias, (4 * self.features,))
        else:
            self.inputs = nn.Dense(4 * self.features, bias_init=bias)
        self.kernel = self.param("kernel", _orthogonal_gates, (self.features, 4 * self.features))

    def __call__(self, x, state=None, context=None):
        """Return h at every step, [N, T, features].

        Args:
          x: inputs [N, T, F].
          state: the initial state (h, c), [N, features] each; None for zeros.
          context: [N, 4 features], added to the projected inputs of every step.
        """
        h, c = self.begin(len(x)) if state is None else state
        # The scan needs time as the first axis. The axes are swapped before the projection, because its results are
        # several times as many numbers. All steps are projected as one product of two matrices: its gradient is then
        # such a product too, without a transposed copy.
        x = x.swapaxes(0, 1)
        if self.blind:
            projected = jnp.broadcast_to(self.bias, (*x.shape[:2], len(self.bias)))
        else:
            projected = self.inputs(x.reshape(-1, x.shape[-1])).reshape(*x.shape[:2], -1)
        projected = projected + (0 if context is None else context[None])
        hs, _ = run(projected, self.kernel, h, c, self.reverse)
        return hs.swapaxes(0, 1)

    def begin(self, count: int):
        """Return the state (h, c) before the first step, zeros [count, features] each."""
        zeros = jnp.zeros((count, self.features), self.kernel.dtype)
        return zeros, zeros

    def step(self, state, x, context=None):
        """Return the state (h, c) after one step.

        Args:
          state: the state before it, [N, features] each.
          x: the input of this step, [N, F].
          context: [N, 4 features], added to the projected input.
        """
        return step(state, self.inputs(x) + (0 if context is None else context), self.kernel)


def _orthogonal_gates(key, shape, dtype=float):
    """Draw a square orthogonal matrix for each of the four gates, [H, 4 H]."""
    draw = jax.nn.initializers.orthogonal()
    keys = jax.random.split(key, 4)
    return jnp.concatenate([draw(one, (shape[0], shape[0]), dtype) for one in keys], axis=1)


def _chrono(memory):
    """Return the chrono initialiser of biases: b_f = log u = -b_i with u ~ U(1, memory - 1).

    A cell whose forget gate has the bias log u forgets over about u steps. Tallec and Ollivier 2018, "Can recurrent
    neural networks warp time?", arXiv:1804.11188.
    """
    if memory < 3:
        raise UserError(f"model.memory={memory} is too short for chrono initialisation\nexpected 3 steps or more, or 0")

    def draw(key, shape, dtype=float):
        b = jnp.log(jax.random.uniform(key, (shape[0] // 4,), dtype, 1, memory - 1))
        return jnp.concatenate([-b, b, jnp.zeros(2 * len(b), dtype)])

    return draw


class Encoder(nn.Module):
    """Apply LSTM layers over time: [N, T, ...] -> the last layer's last output.

    Args:
      hidden: the sizes of the LSTM layers.
      bidirectional: whether each layer has a second LSTM that reads from the end to the beginning (Schuster and Paliwal
        1997). The features are then the last outputs of both directions, [N, 2 hidden[-1]].
      part: the number of steps in a part, or 0 to read each sequence as a whole. LSTM layers read each part by itself,
        and further LSTM layers read the features of the parts in turn (Simon et al. 2018, arXiv:1806.00195, section
        3). No layer then has to remember anything for longer than one part, or for more steps than there are parts.
      memory: the memory of chrono initialisation, in steps; 0 for biases of zero. See `Lstm`.

    Raises:
      UserError: if there are no layers, or if `part` does not divide the number of steps.
    """

    hidden: Sizes = (128,)
    bidirectional: bool = False
    part: Count = 0
    memory: Count = 0

    @nn.compact
    def __call__(self, x):
        """Return features [N, F] of sequences x [N, T, ...]."""
        if not self.hidden:
            raise UserError("model.hidden of a recurrent encoder is empty\nexpected the width of at least one layer")
        n, steps = x.shape[:2]
        x = x.reshape(n, steps, -1)
        if self.part:
            if steps % self.part:
                raise UserError(f"model.encoder_part={self.part} does not divide {steps} steps\nexpected a divisor")
            # Parts become examples: the same layers read all parts of all sequences at once.
            x = self._read(x.reshape(-1, self.part, x.shape[-1])).reshape(n, steps // self.part, -1)
        return self._read(x)

    def _read(self, x):
        """Return the last outputs of the last layer for x [N, T, F], in one or both directions."""
        for features in self.hidden:
            outputs = [Lstm(features, memory=self.memory)(x)]
            if self.bidirectional:
                outputs.append(Lstm(features, reverse=True, memory=self.memory)(x))
            x = jnp.concatenate(outputs, axis=-1)
        ends = [outputs[0][:, -1]]
        if self.bidirectional:
            # The LSTM that reads backwards has seen everything at the first step.
            ends.append(outputs[1][:, 0])
        return jnp.concatenate(ends, axis=-1)


class Decoder(nn.Module):
    """Repeat the latent at every time step, and apply LSTM layers and a linear layer.

    Args:
      hidden: the sizes of the LSTM layers, in the encoder's order; the decoder reverses it.
    """

    hidden: Sizes = (128,)

    @nn.compact
    def __call__(self, z, shape: tuple[int, ...]):
        """Return outputs [N, *shape], without an activation.

        Args:
          z: latents [N, D].
          shape: the shape (T, ...) of one output.
        """
        x = jnp.broadcast_to(z[:, None], (len(z), shape[0], z.shape[-1]))
        for features in self.hidden[::-1]:
            x = Lstm(features)(x)
        return nn.Dense(math.prod(shape[1:]))(x).reshape(len(z), *shape)
