"""Two forms of the same convolutions: XLA's own, and matrix products of shifted blocks, which are many times faster
on a CPU inside a loop. The platform decides; parameters and numbers are the same.

A convolution is a linear map between a large image and a small one (strides divide the size). `_correlate` takes large
to small, `_spread`, its transpose, small to large, and `_weigh` is the derivative of either by the kernel: a forward
convolution is correlate, with (spread, weigh) as its derivative; a transposed one is spread, with (correlate, weigh).
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

_LAYOUT = ("NHWC", "HWIO", "NHWC")


class _Window(NamedTuple):
    """Where the kernel goes: small[i] sees large[i * stride - low : i * stride - low + kernel]."""

    large: tuple[int, int]
    small: tuple[int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    low: tuple[int, int]

    @property
    def high(self):
        sees = zip(self.small, self.stride, self.kernel, self.large, self.low, strict=True)
        return tuple((m - 1) * s + k - n - low for m, s, k, n, low in sees)

    @property
    def taps(self):
        """Blocks of one stride that a kernel touches."""
        return tuple(-(-k // s) for k, s in zip(self.kernel, self.stride, strict=True))


def conv2d(x, kernel, strides=(1, 1), padding: str = "SAME"):
    """x [N, H, W, C] and kernel [kh, kw, C, O] -> [N, H', W', O], as `flax.linen.Conv`; padding "SAME" or "VALID"."""
    sizes, low = [], []
    for n, k, s in zip(x.shape[1:3], kernel.shape, strides):
        small = -(-n // s) if padding == "SAME" else (n - k) // s + 1
        sizes.append(small)
        low.append(max((small - 1) * s + k - n, 0) // 2 if padding == "SAME" else 0)
    window = _Window(x.shape[1:3], tuple(sizes), kernel.shape[:2], tuple(strides), tuple(low))
    return _convolution(x, kernel, window)


def conv_transpose2d(x, kernel, strides=(1, 1), padding: str = "SAME"):
    """x [N, H, W, C] and kernel [kh, kw, C, O] -> [N, H s, W s, O] with "SAME", as `flax.linen.ConvTranspose`."""
    sizes, low = [], []
    for m, k, s in zip(x.shape[1:3], kernel.shape, strides):
        sizes.append(m * s if padding == "SAME" else m * s + max(k - s, 0))
        # lax.conv_transpose pads the dilated input by ceil((k + s - 2) / 2), or k - 1 where strides exceed the kernel.
        before = k - 1 if s > k - 1 or padding == "VALID" else -(-(k + s - 2) // 2)
        low.append(k - 1 - before)
    window = _Window(tuple(sizes), x.shape[1:3], kernel.shape[:2], tuple(strides), tuple(low))
    return _transposed(x, jnp.flip(kernel, (0, 1)).swapaxes(2, 3), window)


# The residuals are the inputs alone: differentiating through the choice of platform would keep the patches of the form
# that was not taken.


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _convolution(large, kernel, window):
    return _correlate(large, kernel, window)


_convolution.defvjp(
    lambda large, kernel, window: (_correlate(large, kernel, window), (large, kernel)),
    lambda window, kept, g: (_spread(g, kept[1], window), _weigh(kept[0], g, window)),
)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _transposed(small, kernel, window):
    return _spread(small, kernel, window)


_transposed.defvjp(
    lambda small, kernel, window: (_spread(small, kernel, window), (small, kernel)),
    lambda window, kept, g: (_correlate(g, kept[1], window), _weigh(g, kept[0], window)),
)


def _by_platform(blocks, native):
    @functools.wraps(blocks)
    def chosen(a, b, window):
        forms = (functools.partial(form, window=window) for form in (blocks, native))
        return lax.platform_dependent(a, b, **dict(zip(("cpu", "default"), forms)))

    return chosen


def _native_correlate(large, kernel, window):
    padding = tuple(zip(window.low, window.high))
    return lax.conv_general_dilated(large, kernel, window.stride, padding, dimension_numbers=_LAYOUT)


def _native_spread(small, kernel, window):
    large = jax.ShapeDtypeStruct((len(small), *window.large, kernel.shape[2]), small.dtype)
    return jax.linear_transpose(lambda image: _native_correlate(image, kernel, window), large)(small)[0]


def _native_weigh(large, small, window):
    kernel = jax.ShapeDtypeStruct((*window.kernel, large.shape[-1], small.shape[-1]), large.dtype)
    return jax.linear_transpose(lambda weights: _native_correlate(large, weights, window), kernel)(small)[0]


def _blocks(large, window):
    """Strides become channels: [N, H, W, C] -> [N, H/s, W/s, s s C], padded so that every kernel fits."""
    (s, t), counts = window.stride, [m + q - 1 for m, q in zip(window.small, window.taps)]
    edges = zip(window.low, window.large, counts, window.stride)
    pads = [(low, count * stride - size - low, 0) for low, size, count, stride in edges]
    x = lax.pad(large, jnp.zeros((), large.dtype), [(0, 0, 0), *pads, (0, 0, 0)])
    n, (h, v), c = len(x), counts, x.shape[-1]
    return x.reshape(n, h, s, v, t, c).transpose(0, 1, 3, 2, 4, 5).reshape(n, h, v, s * t * c)


def _unblocks(blocks, window):
    """The transpose of `_blocks`."""
    (s, t), (n, h, v, c) = window.stride, blocks.shape
    x = blocks.reshape(n, h, v, s, t, -1).transpose(0, 1, 3, 2, 4, 5).reshape(n, h * s, v * t, c // (s * t))
    (top, left), (height, width) = window.low, window.large
    pads = [(-top, height + top - h * s, 0), (-left, width + left - v * t, 0)]
    return lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), *pads, (0, 0, 0)])


def _kernel_blocks(kernel, window):
    """[kh, kw, C, O] -> [taps, taps, s s C, O]."""
    (q, r), (s, t) = window.taps, window.stride
    c, o = kernel.shape[2:]
    pads = [(0, q * s - window.kernel[0]), (0, r * t - window.kernel[1]), (0, 0), (0, 0)]
    return jnp.pad(kernel, pads).reshape(q, s, r, t, c, o).transpose(0, 2, 1, 3, 4, 5).reshape(q, r, s * t * c, o)


def _kernel_unblocks(blocks, window):
    (q, r), (s, t), o = window.taps, window.stride, blocks.shape[-1]
    kernel = blocks.reshape(q, r, s, t, -1, o).transpose(0, 2, 1, 3, 4, 5).reshape(q * s, r * t, -1, o)
    return kernel[: window.kernel[0], : window.kernel[1]]


def _patches(blocks, window):
    """The blocks that each place of the small image sees, side by side: [N, h, w, taps taps C]."""
    (m, n), (q, r) = window.small, window.taps
    return jnp.concatenate([blocks[:, a : a + m, b : b + n] for a in range(q) for b in range(r)], axis=-1)


def _blocks_correlate(large, kernel, window):
    kernel = _kernel_blocks(kernel, window)
    return _patches(_blocks(large, window), window) @ kernel.reshape(-1, kernel.shape[-1])


def _blocks_spread(small, kernel, window):
    kernel = _kernel_blocks(kernel, window)
    q, r, c, o = kernel.shape
    products = small @ kernel.transpose(3, 0, 1, 2).reshape(o, -1)
    tap = lambda a, b: products[..., (a * r + b) * c : (a * r + b + 1) * c]
    around = lambda a, b: ((0, 0), (a, q - 1 - a), (b, r - 1 - b), (0, 0))
    return _unblocks(sum(jnp.pad(tap(a, b), around(a, b)) for a in range(q) for b in range(r)), window)


def _blocks_weigh(large, small, window):
    patches = _patches(_blocks(large, window), window)
    # [O, taps C] and then transposed: the narrow side first is the faster of the two on a CPU.
    product = lax.dot_general(small, patches, (((0, 1, 2), (0, 1, 2)), ((), ())))
    kernel = product.reshape(small.shape[-1], *window.taps, -1).transpose(1, 2, 3, 0)
    return _kernel_unblocks(kernel, window)


_correlate = _by_platform(_blocks_correlate, _native_correlate)
_spread = _by_platform(_blocks_spread, _native_spread)
_weigh = _by_platform(_blocks_weigh, _native_weigh)
