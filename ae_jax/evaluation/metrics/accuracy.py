"""Classification accuracy."""

import jax.numpy as jnp

from ae_jax.core.errors import UserError
from ae_jax.evaluation.gather import compiled, gather, mean_with_error

BETTER = {"accuracy": "max"}


def evaluate(model, variables, data, key) -> dict[str, float]:
    """Measure the share of examples whose most probable class is their label.

    Examples whose label is unknown are left out.

    Returns:
      "accuracy", from 0 to 1.

    Raises:
      UserError: for a model that is no classifier, or for data without labels.
    """
    if not model.says("classify"):
        raise UserError("metric 'accuracy' needs a classifier\nuse model.name=classifier, or --metrics=probe")
    found = gather(compiled(_right, model), variables, data.test, key)
    if "known" not in found or not found["known"].any():
        raise UserError("metric 'accuracy' needs labels, and these data have none\nuse --metrics=mse")
    return mean_with_error("accuracy", found["right"][found["known"]])


def _right(model, variables, batch, key):
    found = model.apply(variables, batch, method="classify").mode
    if "label" not in batch:
        return {}
    # Unknown labels are negative.
    return {"right": (found == batch["label"]).astype(jnp.float32), "known": batch["label"] >= 0}
