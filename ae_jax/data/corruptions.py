"""What happens to a batch before the model sees it, on the device, from explicit keys.

Augmentations may replace "x", the target (a fresh binarisation, dequantisation, transposition); corruptions, the
functions whose first arguments are (key, x), make "inputs", what the encoder reads, and never touch "x".
"""

import dataclasses
import inspect
import sys
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ae_jax.core import errors, lookup
from ae_jax.core.errors import UserError
from ae_jax.core.types import Batch, DataSpec
from ae_jax.data.music import events

BINARIZATIONS = ("none", "dynamic", "fixed")


def _binarize(key: Any, x: Any) -> Any:
    """Each value of x in [0, 1] becomes 1 with that probability, else 0 (Salakhutdinov and Murray 2008)."""
    return jax.random.bernoulli(key, x).astype(x.dtype)


def _dequantize(key: Any, x: Any, levels: int) -> Any:
    """Adds uniform noise of one level's width, so that a density over x bounds a probability of its level.

    Values k/(levels-1) become (k + u)/levels, u uniform in [0, 1) (Theis et al. 2016, arXiv:1511.01844, section 3.1).
    """
    return (x * (levels - 1) + jax.random.uniform(key, x.shape, x.dtype)) / levels


def binarize_once(spec: DataSpec, splits: dict[str, Any], seed: int) -> tuple[DataSpec, dict[str, Any]]:
    """Values in [0, 1] binarised once and for all, by `seed`: the same zeros and ones at every presentation."""
    greatest = spec.levels - 1 if spec.kind == "pixels" else 1
    generator = np.random.default_rng(seed)
    binary = {}
    for name in sorted(splits):
        probabilities = np.asarray(splits[name]["x"], np.float32) / greatest
        x = (generator.random(probabilities.shape, np.float32) < probabilities).astype(np.uint8)
        binary[name] = {**splits[name], "x": x}
    return dataclasses.replace(spec, levels=2), binary


def none(key: Any, x: Any) -> Any:
    """x as it is."""
    return x


def gaussian(key: Any, x: Any, *, level: Any = 0.4, mean: Any = 0.0) -> Any:
    """Adds noise N(mean, level^2), in units of x; nothing, whatever the mean, at level 0."""
    return jnp.where(level > 0, x + mean + level * jax.random.normal(key, x.shape, x.dtype), x)


def salt_and_pepper(key: Any, x: Any, *, level: Any = 0.2) -> Any:
    """Replaces each value with probability `level`, by 0 or 1 at even odds (Vincent et al. 2010, JMLR 11)."""
    key_where, key_what = jax.random.split(key)
    noise = jax.random.bernoulli(key_what, 0.5, x.shape).astype(x.dtype)
    return jnp.where(jax.random.bernoulli(key_where, level, x.shape), noise, x)


def masking(key: Any, x: Any, *, level: Any = 0.5) -> Any:
    """Replaces each value by 0 with probability `level` (Vincent et al. 2010, JMLR 11)."""
    return jnp.where(jax.random.bernoulli(key, level, x.shape), 0, x)


def box(key: Any, x: Any, *, level: Any = 0.4) -> Any:
    """Blackens a box at a random place of each image [B, H, W, C], its sides `level` times those of the image.

    Raises UserError for examples that are no images.
    """
    _check_images("box", x)
    corner = jax.random.uniform(key, (len(x), 2, 1)) * (1 - level)
    rows, columns = ((jnp.arange(size) + 0.5)[None] / size for size in x.shape[1:3])
    inside = lambda place, start: (place >= start) & (place < start + level)
    hidden = inside(rows, corner[:, 0])[:, :, None] & inside(columns, corner[:, 1])[:, None]
    return jnp.where(hidden[..., None], 0, x)


def downsample(key: Any, x: Any, *, factor: int = 2) -> Any:
    """Means over squares of `factor` x `factor` pixels: [B, H, W, C] -> [B, H/factor, W/factor, C].

    Raises UserError unless the factor divides both sides, and for examples that are no images.
    """
    _check_images("downsample", x)
    count, height, width, channels = x.shape
    if factor < 1 or height % factor or width % factor:
        raise UserError(
            f"corruption.factor={factor} does not divide {height}x{width} pixels\nexpected a divisor of both"
        )
    squares = x.reshape(count, height // factor, factor, width // factor, factor, channels)
    return squares.mean(axis=(2, 4))


def _check_images(name: str, x: Any) -> None:
    if x.ndim != 4:
        raise UserError(
            f"corruption {name!r} is for images (height, width, channels), not for examples of shape {x.shape[1:]}\n"
            "try --config.corruption.name=masking"
        )


def find(section: Any) -> tuple[Callable, dict[str, Any]]:
    """(corrupt, numbers): the function (key, x, **numbers) -> inputs of a corruption section, and what may vary in it.

    Whole numbers are fixed; clip=True keeps the inputs in [0, 1]. Raises UserError for an unknown name or option.
    """
    options = dict(section)
    name, clip = options.pop("name"), options.pop("clip", False)
    function = lookup.function(sys.modules[__name__], name, ("key", "x"), "corruption")
    accepted = {"clip", *list(inspect.signature(function).parameters)[2:]}
    for key in options.keys() - accepted:
        raise errors.unknown(f"option of corruption {name!r}", key, accepted)
    for key, value in options.items():
        whole = key != "clip" and isinstance(inspect.signature(function).parameters[key].default, int)
        if whole and not isinstance(value, int):
            raise UserError(f"corruption.{key} is {value!r}\nexpected a whole number")
    fixed = {key: options.pop(key) for key in list(options) if isinstance(options[key], int)}

    def corrupt(key, x, **numbers):
        corrupted = function(key, x, **fixed, **numbers)
        return jnp.clip(corrupted, 0, 1) if clip else corrupted

    return corrupt, options


def make_prepare(spec: DataSpec, binarization: str = "none", dequantized: bool = False, corrupt: Callable = none):
    """The function (keys, batch, hparams) -> batch; `keys` has the streams "augmentation" and "corruption"."""

    def prepare(keys: dict[str, Any], batch: Batch, hparams: dict[str, Any]) -> Batch:
        x = batch["x"]
        if binarization == "dynamic":
            x = _binarize(keys["augmentation"], x)
        elif dequantized:
            x = _dequantize(keys["augmentation"], x, spec.levels)
        return {**batch, "x": x, "inputs": corrupt(keys["corruption"], x, **hparams)}

    return prepare


def transposing(prepare: Callable, semitones: int) -> Callable:
    """`prepare`, with every example of events moved first by a number of semitones from -semitones to semitones."""

    def transpose(keys: dict[str, Any], batch: Batch, hparams: dict[str, Any]) -> Batch:
        x = batch["x"]
        shift = jax.random.randint(keys["augmentation"], (len(x), 1), -semitones, semitones + 1)
        return prepare(keys, {**batch, "x": events.transposed(x, shift)}, hparams)

    return transpose if semitones else prepare
