"""The share of examples whose most probable class is their own."""

import jax.numpy as jnp

from ae_jax.core.errors import UserError
from ae_jax.evaluation.gather import compiled, gather, mean_with_error

BETTER = {"accuracy": "max"}


def evaluate(model, variables, data, key) -> dict[str, float]:
    """Of the examples whose label is known. Raises UserError for a model that does not classify, and without labels."""
    if not model.says("classify"):
        raise UserError("metric 'accuracy' needs a classifier\ntry model.name=classifier, or --metrics=probe")
    found = gather(compiled(_right, model), variables, data.test, key)
    if "known" not in found or not found["known"].any():
        raise UserError("metric 'accuracy' needs labels, and these data have none\ntry --metrics=mse")
    return mean_with_error("accuracy", found["right"][found["known"]])


def _right(model, variables, batch, key):
    found = model.apply(variables, batch, method="classify").mode
    if "label" not in batch:
        return {}
    return {"right": (found == batch["label"]).astype(jnp.float32), "known": batch["label"] >= 0}
