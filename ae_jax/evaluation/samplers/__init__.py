"""Samplers of latents, fitted after training, one a file: `fit(codes, key) -> sample`, `sample(key, n)` -> [n, D].

What is trained is no sampler but a run on `data.source=codes`, see `ae_jax.evaluation.second_stage`.
"""

from typing import Any

from ae_jax.core.types import Batch


def one_draw(model: Any, variables: Any, batch: Batch, key: Any) -> Any:
    """Return what samplers are fitted to [B, D]: one draw of each example's latent, of the layer next to the data."""
    sample = model.apply(variables, batch, method="encode", rngs={"latent": key})[-1].sample
    return sample[0].reshape(sample.shape[1], -1)
