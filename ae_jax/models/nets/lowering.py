"""Convolutions in two forms with equal results: XLA's, and products of shifted slices.

The products are many times faster on a CPU inside a compiled loop. CPUs use them, and other platforms use XLA's form.

A window relates the pixels of a large image to those of a small one. It defines three maps, each linear in both
arguments: `_correlate` (large, kernel -> small), `_scatter` (small, kernel -> large) and `_weigh` (large, small ->
kernel). A convolution is `_correlate`, and a transposed convolution is `_scatter`. The derivatives of each map are the
other two, so that derivatives of any order exist.
"""

import functools
import itertools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

# Channels per matrix product. Fewer do not fill the processor's vector units; more do not fit into its caches.
_WIDTH = 64


class _Window(NamedTuple):
    """The relation of two images: small[i] reads large[i * stride - low + t] by tap t."""

    large: tuple[int, ...]  # height and width of the large image
    small: tuple[int, ...]  # height and width of the small image
    kernel: tuple[int, ...]  # height and width of the kernel
    stride: tuple[int, ...]
    low: tuple[int, ...]  # the padding before the large image; negative if its first pixels are not read

    @property
    def high(self):
        """Return the padding after the large image; negative if no tap reads its last pixels."""
        axes = zip(self.large, self.small, self.kernel, self.stride, self.low, strict=True)
        return tuple((m - 1) * s + k - n - low for n, m, k, s, low in axes)

    @property
    def mirrored(self):
        """Return the relation with the images exchanged, which is a window if the strides are 1."""
        low = tuple(k - 1 - low for k, low in zip(self.kernel, self.low, strict=True))
        return _Window(self.small, self.large, self.kernel, self.stride, low)


def _mirror(kernel):
    """Return the kernel of the exchanged images: taps reversed, channels swapped."""
    return jnp.flip(kernel, (0, 1)).swapaxes(2, 3)


def conv2d(x, kernel, strides=(1, 1), padding: str = "SAME"):
    """Convolve images as `flax.linen.Conv` does, without a bias.

    Args:
      x: images [N, H, W, C].
      kernel: [kh, kw, C, O].
      strides: the steps along height and width.
      padding: "SAME" or "VALID".

    Returns:
      Images [N, h, w, O].
    """
    small, low = [], []
    for n, k, s in zip(x.shape[1:3], kernel.shape[:2], strides, strict=True):
        small.append(-(-n // s) if padding == "SAME" else (n - k) // s + 1)
        low.append(max((small[-1] - 1) * s + k - n, 0) // 2 if padding == "SAME" else 0)
    window = _Window(x.shape[1:3], tuple(small), kernel.shape[:2], tuple(strides), tuple(low))
    return _correlate(x, kernel, window)


def conv_transpose2d(x, kernel, strides=(1, 1), padding: str = "SAME"):
    """Apply a transposed convolution as `flax.linen.ConvTranspose` does, without a bias.

    Args:
      x: images [N, H, W, C].
      kernel: [kh, kw, C, O].
      strides: the factors by which height and width grow.
      padding: "SAME" or "VALID".

    Returns:
      Images [N, H * stride, W * stride, O] with "SAME"; larger ones with "VALID" and a kernel larger than the stride.
    """
    large, low = [], []
    for m, k, s in zip(x.shape[1:3], kernel.shape[:2], strides, strict=True):
        large.append(m * s if padding == "SAME" else m * s + max(k - s, 0))
        # `lax.conv_transpose` puts ceil((k + s - 2) / 2) zeros before the input, or k - 1 where strides leave gaps.
        before = k - 1 if padding == "VALID" or s >= k else -(-(k + s - 2) // 2)
        low.append(k - 1 - before)
    window = _Window(tuple(large), x.shape[1:3], kernel.shape[:2], tuple(strides), tuple(low))
    return _scatter(x, _mirror(kernel), window)


def _native_correlate(large, kernel, window):
    """Return the small image [N, h, w, O] by XLA's convolution."""
    padding = tuple(zip(window.low, window.high, strict=True))
    return lax.conv_general_dilated(large, kernel, window.stride, padding, dimension_numbers=("NHWC", "HWIO", "NHWC"))


def _native_scatter(small, kernel, window):
    """Return the large image [N, H, W, C]: the transpose of `_native_correlate` by the image."""
    large = jax.ShapeDtypeStruct((len(small), *window.large, kernel.shape[2]), small.dtype)
    return jax.linear_transpose(lambda large: _native_correlate(large, kernel, window), large)(small)[0]


def _native_weigh(large, small, window):
    """Return the kernel [kh, kw, C, O]: the transpose of `_native_correlate` by the kernel."""
    kernel = jax.ShapeDtypeStruct((*window.kernel, large.shape[-1], small.shape[-1]), large.dtype)
    return jax.linear_transpose(lambda kernel: _native_correlate(large, kernel, window), kernel)(small)[0]


def _pad(x, low, high):
    """Pad height and width with zeros; negative numbers cut off, unlike in `jnp.pad`."""
    sides = [(before, after, 0) for before, after in zip(low, high)]
    return lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), *sides, (0, 0, 0)])


def _patches(large, window):
    """Return what each pixel of the small image reads (im2col): arrays [N, h, w, taps * C].

    Each array holds as many taps as make about `_WIDTH` channels.
    """
    x = _pad(large, window.low, window.high)
    (height, width), (s, t) = window.small, window.stride
    taps = []
    for i, j in itertools.product(range(window.kernel[0]), range(window.kernel[1])):
        rows, columns = slice(i, i + (height - 1) * s + 1, s), slice(j, j + (width - 1) * t + 1, t)
        taps.append(x[:, rows, columns])
    group = -(-_WIDTH // x.shape[-1])
    return [jnp.concatenate(taps[i : i + group], axis=-1) for i in range(0, len(taps), group)]


def _correlate_patches(large, kernel, window):
    """Return the small image: the sum of the products of patches with the weights of their taps."""
    patches = _patches(large, window)
    weights, step = kernel.reshape(-1, kernel.shape[-1]), patches[0].shape[-1]
    return sum(patch @ weights[i * step : (i + 1) * step] for i, patch in enumerate(patches))


def _scatter_phases(small, kernel, window):
    """Return the large image, computed phase by phase.

    Phase (p, q) consists of the pixels (p + s i, q + t j) for all i and j.

    All pixels of a phase read the same taps, so a phase is one matrix product, whose taps are then shifted and added.
    """
    (m, n), (kh, kw), (s, t) = window.small, window.kernel, window.stride
    rows, columns = m - 1 + -(-kh // s), n - 1 + -(-kw // t)  # the size of each phase

    def phase(p, q):
        weights = kernel[p::s, q::t]
        a, b, c, o = weights.shape
        # A stride larger than the kernel leaves phases without taps: their pixels are zero.
        taps = jnp.split(small @ weights.reshape(-1, o).T, a * b, axis=-1) if a * b else []
        total = jnp.zeros((len(small), rows, columns, c), small.dtype)
        for tap, (i, j) in zip(taps, itertools.product(range(a), range(b))):
            total = total + _pad(tap, (i, j), (rows - m - i, columns - n - j))
        return total

    # Interleave the phases: first along the width, then along the height.
    strips = []
    for p in range(s):
        strips.append(jnp.stack([phase(p, q) for q in range(t)], axis=3))
    x = jnp.stack(strips, axis=2).reshape(len(small), rows * s, columns * t, -1)
    (height, width), (top, left) = window.large, window.low
    return _pad(x, (-top, -left), (height + top - rows * s, width + left - columns * t))


# The sliced forms copy patches of the image with fewer channels. With stride 1 each map can be computed from patches of
# either image. A last layer from 32 channels to 1 then copies about 30 times fewer numbers.


def _sliced_correlate(large, kernel, window):
    """Return the small image by matrix products."""
    if window.stride == (1, 1) and kernel.shape[2] > kernel.shape[3]:
        return _scatter_phases(large, _mirror(kernel), window.mirrored)
    return _correlate_patches(large, kernel, window)


def _sliced_scatter(small, kernel, window):
    """Return the large image by matrix products."""
    if window.stride == (1, 1) and kernel.shape[3] <= kernel.shape[2]:
        return _correlate_patches(small, _mirror(kernel), window.mirrored)
    return _scatter_phases(small, kernel, window)


def _sliced_weigh(large, small, window):
    """Return the kernel by matrix products: a sum over all examples and pixels."""
    c, o = large.shape[-1], small.shape[-1]
    if window.stride == (1, 1) and c > o:
        return _mirror(_sliced_weigh(small, large, window.mirrored))
    patches = _patches(large, window)
    pixels = (((0, 1, 2), (0, 1, 2)), ((), ()))  # contract over examples, height and width
    # The operand with fewer channels goes first, because XLA transposes the first one in memory before it multiplies.
    if patches[0].shape[-1] < o:
        products = [lax.dot_general(patch, small, pixels) for patch in patches]
        return jnp.concatenate(products).reshape(*window.kernel, c, o)
    products = [lax.dot_general(small, patch, pixels) for patch in patches]
    return jnp.concatenate(products, axis=-1).reshape(o, *window.kernel, c).transpose(1, 2, 3, 0)


def _bilinear(sliced, native, derivatives):
    """Make a function (a, b, window) that computes in the form of its platform.

    Args:
      sliced: the form for CPUs, a function (a, b, window).
      native: the form for all other platforms.
      derivatives: a function (a, b, cotangent, window) -> (cotangent of a, cotangent of b).
    """

    def apply(a, b, window):
        cpu, default = (functools.partial(form, window=window) for form in (sliced, native))
        return lax.platform_dependent(a, b, cpu=cpu, default=default)

    def forward(a, b, window):
        return apply(a, b, window), (a, b)

    def backward(window, residuals, cotangent):
        return derivatives(*residuals, cotangent, window)

    # The derivatives are given by hand so that only the two arrays are kept for the backward pass. Autodiff of the
    # choice of platforms would keep the patches too, also on platforms that do not use them. `forward` calls the
    # function with custom derivatives, which this line binds to the same name, so that second derivatives exist too.
    apply = jax.custom_vjp(apply, nondiff_argnums=(2,))
    apply.defvjp(forward, backward)
    return apply


def _correlate_derivatives(large, kernel, cotangent, window):
    return _scatter(cotangent, kernel, window), _weigh(large, cotangent, window)


def _scatter_derivatives(small, kernel, cotangent, window):
    return _correlate(cotangent, kernel, window), _weigh(cotangent, small, window)


def _weigh_derivatives(large, small, cotangent, window):
    return _scatter(small, cotangent, window), _correlate(large, cotangent, window)


_correlate: Callable = _bilinear(_sliced_correlate, _native_correlate, _correlate_derivatives)
_scatter: Callable = _bilinear(_sliced_scatter, _native_scatter, _scatter_derivatives)
_weigh: Callable = _bilinear(_sliced_weigh, _native_weigh, _weigh_derivatives)
