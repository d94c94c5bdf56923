"""Samplers of codes, fitted after training, one a file: `fit(codes, key) -> sample`, `sample(key, n)` -> [n, D].

What they share, and those that use them, stands here.
"""

from collections.abc import Callable
from typing import Any

import jax

from ae_jax.core.types import Batch, DataSpec
from ae_jax.data.batching import Batches

_BATCH, _LEAST, _NOISE = 256, 1e-3, 0.02


def one_draw(model: Any, variables: Any, batch: Batch, key: Any) -> Any:
    """What samplers are fitted to [B, D]: of each example one draw of its code, of the layer next to the data."""
    sample = model.apply(variables, batch, method="encode", rngs={"latent": key})[-1].sample
    return sample[0].reshape(sample.shape[1], -1)


def standardised(codes: Any, key: Any) -> tuple[Batches, Callable]:
    """(batches of codes [N, D] of mean 0 and deviation 1, the function that brings such codes back)."""
    mean, scale = codes.mean(axis=0, keepdims=True), codes.std(axis=0, keepdims=True) + _LEAST
    # The density of a dimension that never varies would grow without bound, and no other be learned beside it.
    noisy = (codes - mean) / scale + _NOISE * jax.random.normal(key, codes.shape)
    batches = Batches({"x": noisy}, DataSpec(codes.shape[1:], "reals"), min(_BATCH, len(codes)))
    return batches, lambda z: mean + scale * z
