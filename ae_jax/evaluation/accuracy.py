"""The share of examples whose most probable class is their own."""

import jax.numpy as jnp

from ae_jax.errors import UserError
from ae_jax.reduce import mean_and_se

BETTER = {"accuracy": "max"}


def evaluate(model, variables, data, key) -> dict[str, float]:
    """Raises UserError for a model that does not classify."""
    if not hasattr(model, "classify"):
        raise UserError("metric 'accuracy' needs a classifier\ntry model.name=classifier, or --metrics=probe")
    return mean_and_se(_right, model, variables, data["test"], key)


def _right(model, variables, batch, key):
    found = model.apply(variables, batch, method="classify").mode
    return {"accuracy": (found == batch["label"]).astype(jnp.float32)}
