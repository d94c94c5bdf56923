"""Change a batch before the model sees it, on the device, from explicit keys.

Augmentations may replace "x", the target: a fresh binarisation, dequantisation, or transposition. Corruptions make
"inputs", what the encoder reads, and leave "x" alone. Every public function of this file whose first parameters are
(key, x) is a corruption under its own name.
"""

import dataclasses
import sys
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ae_jax.core import lookup, options
from ae_jax.core.errors import UserError
from ae_jax.core.types import Batch, DataSpec
from ae_jax.data.music import events

BINARIZATIONS = ("none", "dynamic", "fixed")
# How the parameters of a corruption begin.
_FIRST = ("key", "x")


def _binarize(key: Any, x: Any) -> Any:
    """Draw 1 with the probability x, else 0, for each value (Salakhutdinov and Murray 2008)."""
    return jax.random.bernoulli(key, x).astype(x.dtype)


def _dequantize(key: Any, x: Any, levels: int) -> Any:
    """Add uniform noise of one level's width, so that a density bounds a level's probability.

    Values k/(levels-1) become (k + u)/levels, u uniform in [0, 1) (Theis et al. 2016, arXiv:1511.01844, section 3.1).
    """
    return (x * (levels - 1) + jax.random.uniform(key, x.shape, x.dtype)) / levels


def binarize_once(spec: DataSpec, splits: dict[str, Any], seed: int) -> tuple[DataSpec, dict[str, Any]]:
    """Binarise values in [0, 1] once and for all, the same at every presentation.

    Args:
      spec: what the examples look like.
      splits: {split: {"x", ...}}.
      seed: the seed of the draw.

    Returns:
      (spec, splits) of the binary examples, which have two levels.
    """
    greatest = spec.levels - 1 if spec.kind == "pixels" else 1
    generator = np.random.default_rng(seed)
    binary = {}
    # One generator serves all splits, so the draws must not depend on the order in which a source returns them.
    for name in sorted(splits):
        probabilities = np.asarray(splits[name]["x"], np.float32) / greatest
        x = (generator.random(probabilities.shape, np.float32) < probabilities).astype(np.uint8)
        binary[name] = {**splits[name], "x": x}
    return dataclasses.replace(spec, levels=2), binary


def none(key: Any, x: Any) -> Any:
    """Return x as it is."""
    return x


def gaussian(key: Any, x: Any, *, level: Any = 0.4, mean: Any = 0.0) -> Any:
    """Add noise N(mean, level^2) to x [B, ...].

    Args:
      key: random key.
      x: the examples.
      level: the standard deviation, in units of x. At 0 nothing is added, whatever the mean.
      mean: the mean of the noise, in units of x.
    """
    # Schedules make `level` a traced number, which Python's `if` cannot read.
    return jnp.where(level > 0, x + mean + level * jax.random.normal(key, x.shape, x.dtype), x)


def salt_and_pepper(key: Any, x: Any, *, level: Any = 0.2) -> Any:
    """Replace values of x [B, ...] by 0 or 1 at even odds (Vincent et al. 2010, JMLR 11).

    Args:
      key: random key.
      x: the examples.
      level: the probability with which a value is replaced.
    """
    key_where, key_what = jax.random.split(key)
    noise = jax.random.bernoulli(key_what, 0.5, x.shape).astype(x.dtype)
    return jnp.where(jax.random.bernoulli(key_where, level, x.shape), noise, x)


def masking(key: Any, x: Any, *, level: Any = 0.5) -> Any:
    """Replace values of x [B, ...] by 0 (Vincent et al. 2010, JMLR 11).

    Args:
      key: random key.
      x: the examples.
      level: the probability with which a value is replaced.
    """
    return jnp.where(jax.random.bernoulli(key, level, x.shape), 0, x)


def box(key: Any, x: Any, *, level: Any = 0.4) -> Any:
    """Blacken a box at a random place of each image.

    Args:
      key: random key.
      x: images [B, H, W, C].
      level: the sides of the box, as a share of those of the image.

    Raises:
      UserError: the examples are no images.
    """
    _check_images("box", x)
    # The corner leaves room for the sides, so that the box is never cut off at the edge of the image.
    corner = jax.random.uniform(key, (len(x), 2, 1)) * (1 - level)
    # The centre of a pixel decides whether the box hides it.
    rows, columns = ((jnp.arange(size) + 0.5)[None] / size for size in x.shape[1:3])

    def inside(place, start):
        return (place >= start) & (place < start + level)

    hidden = inside(rows, corner[:, 0])[:, :, None] & inside(columns, corner[:, 1])[:, None]
    return jnp.where(hidden[..., None], 0, x)


def downsample(key: Any, x: Any, *, factor: int = 2) -> Any:
    """Average squares of pixels: [B, H, W, C] -> [B, H/factor, W/factor, C].

    Args:
      key: random key; nothing is drawn.
      x: images [B, H, W, C].
      factor: the side of a square in pixels.

    Raises:
      UserError: the factor does not divide both sides, or the examples are no images.
    """
    _check_images("downsample", x)
    count, height, width, channels = x.shape
    if factor < 1 or height % factor or width % factor:
        raise UserError(f"corruption.factor={factor} must divide {height}x{width} pixels\nuse a divisor of both sides")
    squares = x.reshape(count, height // factor, factor, width // factor, factor, channels)
    return squares.mean(axis=(2, 4))


def _check_images(name: str, x: Any) -> None:
    if x.ndim != 4:
        raise UserError(
            f"corruption {name!r} is for images (height, width, channels), not for examples of shape {x.shape[1:]}\n"
            "try --config.corruption.name=masking"
        )


def function(name: str) -> Callable:
    """Return the corruption of this name, or the user's own. Raise UserError."""
    return lookup.function(sys.modules[__name__], name, _FIRST, "corruption")


def find(section: Mapping[str, Any]) -> tuple[Callable, dict[str, Any]]:
    """Return (corrupt, numbers) for a corruption section.

    Args:
      section: the keys name (a function of this file, or the user's own "package.module:name"), clip (whether inputs
        are kept in [0, 1]), and the options of the function.

    Returns:
      corrupt: the function (key, x, **numbers) -> inputs.
      numbers: the numbers and the texts of schedules in the section.

    Raises:
      UnknownKey: the function has no such option.
      UserError: the name is unknown, or a key has a value that it may not have.
    """
    given = dict(section)
    name, clip = given.pop("name"), given.pop("clip", None)
    change = function(name)
    found = options.resolve(change, given, "corruption", f"corruption {name!r}", skip=_FIRST, also=("name", "clip"))

    def corrupt(key, x, **numbers):
        corrupted = change(key, x, **found.constants, **numbers)
        return jnp.clip(corrupted, 0, 1) if clip else corrupted

    return corrupt, found.numbers


def make_prepare(spec: DataSpec, binarization: str = "none", dequantized: bool = False, corrupt: Callable = none):
    """Return the function (keys, batch, hparams) -> batch by which a model reads a batch.

    Args:
      spec: what an example looks like.
      binarization: one of `BINARIZATIONS`; "dynamic" draws afresh at every presentation.
      dequantized: whether pixels get uniform noise of one level's width.
      corrupt: as `find` returns it. Its numbers are the function's `hparams`.

    Returns:
      A function whose `keys` have the random streams "augmentation" and "corruption".
    """

    def prepare(keys: dict[str, Any], batch: Batch, hparams: dict[str, Any]) -> Batch:
        x = batch["x"]
        if binarization == "dynamic":
            x = _binarize(keys["augmentation"], x)
        elif dequantized:
            batch = {**batch, "undequantised": x}
            x = _dequantize(keys["augmentation"], x, spec.levels)
        # Binarisation comes first, so that the encoder reads the same draw as the one that is the target.
        return {**batch, "x": x, "inputs": corrupt(keys["corruption"], x, **hparams)}

    return prepare


def transposing(prepare: Callable, semitones: int) -> Callable:
    """Return `prepare` with every melody first moved by -semitones to semitones, at random."""

    def transpose(keys: dict[str, Any], batch: Batch, hparams: dict[str, Any]) -> Batch:
        x = batch["x"]
        shift = jax.random.randint(keys["augmentation"], (len(x), 1), -semitones, semitones + 1)
        return prepare(keys, {**batch, "x": events.transposed(x, shift)}, hparams)

    return transpose if semitones else prepare
