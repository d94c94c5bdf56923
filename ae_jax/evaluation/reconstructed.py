"""Examples and reconstructions in the units of the data, without noise of dequantisation."""

from typing import Any

from ae_jax.core.types import Batch


def pair(model: Any, batch: Batch, mean: Any) -> tuple[Any, Any]:
    """Return examples [B, *shape] and their reconstructions, which pixel errors compare.

    A model of dequantised pixels reconstructs (k + u) / levels, with uniform noise u in [0, 1), where the data have
    k / (levels - 1). Its reconstruction is mapped back, so that the noise is no part of the error.

    Args:
      model: the model, whose spec has the number of levels.
      batch: the examples.
      mean: the model's reconstructions [B, *shape] of batch["x"].
    """
    if "undequantised" not in batch:
        return batch["x"], mean
    levels = model.spec.levels
    return batch["undequantised"], (levels * mean - 0.5) / (levels - 1)


def originals(batch: Batch) -> Any:
    """Return examples [B, *shape] without the noise of dequantisation."""
    return batch.get("undequantised", batch["x"])
