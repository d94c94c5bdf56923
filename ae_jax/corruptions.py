"""What happens to a batch before the model sees it, on the device, from explicit keys.

`augment` may replace "x", the target (a fresh binarisation, dequantisation); `corrupt` adds "inputs", what the encoder
reads, and never touches "x".
"""

import dataclasses
from typing import Any

import jax
import numpy as np

from ae_jax.types import Batch, DataSpec

BINARIZATIONS = ("none", "dynamic", "fixed")


def binarize(key: Any, x: Any) -> Any:
    """Each value of x in [0, 1] becomes 1 with that probability, else 0 (Salakhutdinov and Murray 2008)."""
    return jax.random.bernoulli(key, x).astype(x.dtype)


def dequantize(key: Any, x: Any, levels: int) -> Any:
    """Adds uniform noise of one level's width, so that a density over x bounds a probability of its level.

    Values k/(levels-1) become (k + u)/levels, u uniform in [0, 1) (Theis et al. 2016, arXiv:1511.01844, section 3.1).
    """
    return (x * (levels - 1) + jax.random.uniform(key, x.shape, x.dtype)) / levels


def binarize_once(spec: DataSpec, splits: dict[str, Any], seed: int) -> tuple[DataSpec, dict[str, Any]]:
    """A data set of pixels binarised once and for all, by `seed`: the same zeros and ones at every presentation."""
    generator = np.random.default_rng(seed)
    binary = {}
    for name in sorted(splits):
        probabilities = np.asarray(splits[name]["x"], np.float32) / (spec.levels - 1)
        x = (generator.random(probabilities.shape, np.float32) < probabilities).astype(np.uint8)
        binary[name] = {**splits[name], "x": x}
    return dataclasses.replace(spec, levels=2), binary


def make_prepare(spec: DataSpec, binarization: str = "none", dequantized: bool = False):
    """The function (keys, batch, hparams) -> batch with "inputs". `keys` has the streams "augmentation", "corruption"."""

    def prepare(keys: dict[str, Any], batch: Batch, hparams: dict[str, Any]) -> Batch:
        x = batch["x"]
        if binarization == "dynamic":
            x = binarize(keys["augmentation"], x)
        elif dequantized:
            x = dequantize(keys["augmentation"], x, spec.levels)
        return {**batch, "x": x, "inputs": x}

    return prepare
