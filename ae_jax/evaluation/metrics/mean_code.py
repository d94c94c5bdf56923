"""How large and how sparse codes are."""

import jax.numpy as jnp

from ae_jax.evaluation import requirements
from ae_jax.evaluation.gather import mean_and_se

BETTER = {"mean_absolute_code": "min", "share_of_zero_code": "max"}


def evaluate(model, variables, data, key) -> dict[str, float]:
    """Means over examples and dimensions of |code|, and of whether |code| < 1e-3."""
    return mean_and_se(_statistics, model, variables, data.test, key)


def _statistics(model, variables, batch, key):
    size = jnp.abs(requirements.latent_code(model.apply(variables, batch, rngs={"latent": key})))
    return {"mean_absolute_code": size.mean(axis=1), "share_of_zero_code": (size < 1e-3).mean(axis=1)}
