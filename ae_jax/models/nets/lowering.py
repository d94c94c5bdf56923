"""Convolutions in two forms of equal numbers: XLA's own, and matrix products of shifted slices, which are many times
faster on a CPU inside a loop. The platform decides.

A window relates a large image to a small one, and three maps follow, each linear in both arguments: `_correlate`
(large, kernel -> small), `_spread` (small, kernel -> large) and `_weigh` (large, small -> kernel). A convolution is the
first, a transposed one the second, and the derivatives of each are the other two, to any order.
"""

import functools
import itertools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

# Channels per matrix product: fewer use the processor's width badly, more only copy more than its caches hold.
_WIDTH = 64


class _Window(NamedTuple):
    """Along each axis, tap t of the kernel shows large[i * stride - low + t] to small[i]."""

    large: tuple[int, ...]
    small: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    low: tuple[int, ...]

    @property
    def high(self):
        """Padding behind `large` that makes the last window end there; negative where no window reaches the end."""
        axes = zip(self.large, self.small, self.kernel, self.stride, self.low, strict=True)
        return tuple((m - 1) * s + k - n - low for n, m, k, s, low in axes)

    @property
    def mirrored(self):
        """With stride 1 the small image is as good as the large one: the same window seen from the other side."""
        low = tuple(k - 1 - low for k, low in zip(self.kernel, self.low, strict=True))
        return _Window(self.small, self.large, self.kernel, self.stride, low)


def _mirror(kernel):
    return jnp.flip(kernel, (0, 1)).swapaxes(2, 3)


def conv2d(x, kernel, strides=(1, 1), padding: str = "SAME"):
    """x [N, H, W, C] and kernel [kh, kw, C, O] -> [N, H', W', O], as `flax.linen.Conv`; padding "SAME" or "VALID"."""
    small, low = [], []
    for n, k, s in zip(x.shape[1:3], kernel.shape[:2], strides, strict=True):
        small.append(-(-n // s) if padding == "SAME" else (n - k) // s + 1)
        low.append(max((small[-1] - 1) * s + k - n, 0) // 2 if padding == "SAME" else 0)
    window = _Window(x.shape[1:3], tuple(small), kernel.shape[:2], tuple(strides), tuple(low))
    return _correlate(x, kernel, window)


def conv_transpose2d(x, kernel, strides=(1, 1), padding: str = "SAME"):
    """x [N, H, W, C] and kernel [kh, kw, C, O] -> [N, H s, W s, O] with "SAME", as `flax.linen.ConvTranspose`."""
    large, low = [], []
    for m, k, s in zip(x.shape[1:3], kernel.shape[:2], strides, strict=True):
        large.append(m * s if padding == "SAME" else m * s + max(k - s, 0))
        # `lax.conv_transpose` puts ceil((k + s - 2) / 2) zeros before the input, or k - 1 where strides leave gaps.
        before = k - 1 if padding == "VALID" or s >= k else -(-(k + s - 2) // 2)
        low.append(k - 1 - before)
    window = _Window(tuple(large), x.shape[1:3], kernel.shape[:2], tuple(strides), tuple(low))
    return _spread(x, _mirror(kernel), window)


def _native_correlate(large, kernel, window):
    padding = tuple(zip(window.low, window.high, strict=True))
    return lax.conv_general_dilated(large, kernel, window.stride, padding, dimension_numbers=("NHWC", "HWIO", "NHWC"))


def _native_spread(small, kernel, window):
    large = jax.ShapeDtypeStruct((len(small), *window.large, kernel.shape[2]), small.dtype)
    return jax.linear_transpose(lambda large: _native_correlate(large, kernel, window), large)(small)[0]


def _native_weigh(large, small, window):
    kernel = jax.ShapeDtypeStruct((*window.kernel, large.shape[-1], small.shape[-1]), large.dtype)
    return jax.linear_transpose(lambda kernel: _native_correlate(large, kernel, window), kernel)(small)[0]


def _pad(x, low, high):
    return lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), *((a, b, 0) for a, b in zip(low, high)), (0, 0, 0)])


def _patches(large, window):
    """What the small image sees, tap beside tap, in groups of about `_WIDTH` channels: [N, h, w, taps C] each."""
    x = _pad(large, window.low, window.high)
    (m, n), (kh, kw), (s, t) = window.small, window.kernel, window.stride
    taps = [x[:, i : i + m * s - s + 1 : s, j : j + n * t - t + 1 : t] for i in range(kh) for j in range(kw)]
    group = -(-_WIDTH // x.shape[-1])
    return [jnp.concatenate(taps[i : i + group], axis=-1) for i in range(0, len(taps), group)]


def _gather(large, kernel, window):
    """Correlation as products of patches with their part of the kernel."""
    patches = _patches(large, window)
    weights, step = kernel.reshape(-1, kernel.shape[-1]), patches[0].shape[-1]
    return sum(patch @ weights[i * step : (i + 1) * step] for i, patch in enumerate(patches))


def _scatter(small, kernel, window):
    """Spreading: one product for each of the s t phases of the large image, whose taps are shifted and added."""
    (m, n), (kh, kw), (s, t) = window.small, window.kernel, window.stride
    rows, columns = m - 1 + -(-kh // s), n - 1 + -(-kw // t)

    def phase(p, q):
        weights = kernel[p::s, q::t]
        a, b, c, o = weights.shape
        taps = jnp.split(small @ weights.reshape(-1, o).T, a * b, axis=-1) if a * b else []
        corners = itertools.product(range(a), range(b))
        shifted = (_pad(tap, (i, j), (rows - m - i, columns - n - j)) for tap, (i, j) in zip(taps, corners))
        return sum(shifted, jnp.zeros((len(small), rows, columns, c), small.dtype))

    x = jnp.stack([jnp.stack([phase(p, q) for q in range(t)], axis=3) for p in range(s)], axis=2)
    x = x.reshape(len(small), rows * s, columns * t, -1)
    (height, width), (top, left) = window.large, window.low
    return _pad(x, (-top, -left), (height + top - rows * s, width + left - columns * t))


# Work on the narrower side: with stride 1 each map can be had from patches of either image, and fewer channels are less
# to copy (a last layer from 32 channels to 1: 30 times less).


def _sliced_correlate(large, kernel, window):
    if window.stride == (1, 1) and kernel.shape[2] > kernel.shape[3]:
        return _scatter(large, _mirror(kernel), window.mirrored)
    return _gather(large, kernel, window)


def _sliced_spread(small, kernel, window):
    if window.stride == (1, 1) and kernel.shape[3] <= kernel.shape[2]:
        return _gather(small, _mirror(kernel), window.mirrored)
    return _scatter(small, kernel, window)


def _sliced_weigh(large, small, window):
    c, o = large.shape[-1], small.shape[-1]
    if window.stride == (1, 1) and c > o:
        return _mirror(_sliced_weigh(small, large, window.mirrored))
    patches, pixels = _patches(large, window), (((0, 1, 2), (0, 1, 2)), ((), ()))
    # The narrower operand goes first: XLA transposes it in memory before it multiplies.
    if patches[0].shape[-1] < o:
        products = [lax.dot_general(patch, small, pixels) for patch in patches]
        return jnp.concatenate(products).reshape(*window.kernel, c, o)
    products = [lax.dot_general(small, patch, pixels) for patch in patches]
    return jnp.concatenate(products, axis=-1).reshape(o, *window.kernel, c).transpose(1, 2, 3, 0)


def _map(sliced, native, derivatives):
    """The map of two arrays and a window in the platform's form. Its residuals are the two arrays alone: those of a
    differentiated choice of platforms would hold the patches, also where they are not used.
    """

    def apply(a, b, window):
        forms = [functools.partial(form, window=window) for form in (sliced, native)]
        return lax.platform_dependent(a, b, cpu=forms[0], default=forms[1])

    apply = jax.custom_vjp(apply, nondiff_argnums=(2,))
    keep = lambda a, b, window: (apply(a, b, window), (a, b))
    apply.defvjp(keep, lambda window, kept, g: derivatives(*kept, g, window))
    return apply


_correlate: Callable = _map(
    _sliced_correlate,
    _native_correlate,
    lambda large, kernel, g, window: (_spread(g, kernel, window), _weigh(large, g, window)),
)
_spread: Callable = _map(
    _sliced_spread,
    _native_spread,
    lambda small, kernel, g, window: (_correlate(g, kernel, window), _weigh(g, small, window)),
)
_weigh: Callable = _map(
    _sliced_weigh,
    _native_weigh,
    lambda large, small, g, window: (_spread(small, g, window), _correlate(large, g, window)),
)
