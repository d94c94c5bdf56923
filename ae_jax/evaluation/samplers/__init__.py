"""Samplers of latents, fitted after training, one in each file.

A file has `fit(codes, key)` for latents [N, D]. It returns `sample(key, n)`, which returns latents [n, D]. A prior that
needs training is not a sampler but a run on `data.source=codes`; see `ae_jax.evaluation.second_stage`.
"""

from typing import Any

from ae_jax.core.types import Batch


def one_draw(model: Any, variables: Any, batch: Batch, key: Any) -> Any:
    """Draw one latent of each example, to which samplers are fitted.

    Args:
      model: the model.
      variables: the parameters and other collections of the model.
      batch: the batch of B examples.
      key: random key.

    Returns:
      Draws [B, D] of the last latent layer, which is next to the data.
    """
    sample = model.apply(variables, batch, method="encode", rngs={"latent": key})[-1].sample
    return sample[0].reshape(sample.shape[1], -1)
