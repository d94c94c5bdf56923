"""The reconstruction error that is left after each level of a residual quantizer."""

import jax.numpy as jnp

from ae_jax.core.errors import UserError
from ae_jax.evaluation.gather import mean_and_se
from ae_jax.evaluation.metrics import codebook

BETTER = {"mse_per_pixel_first_level": "min"}


def evaluate(model, variables, data, key) -> dict[str, float]:
    """Measure the mean squared error of x decoded from the first 1, 2, ... levels of its codes.

    Returns:
      "mse_per_pixel_first_level", and "mse_per_pixel_level_2", "mse_per_pixel_level_3", ... up to the last.

    Raises:
      UserError: for a latent that has no levels.
    """
    if model.codebooks < 2:
        raise UserError("metric 'residual_levels' needs codes of several levels\nuse model.quantizer=residual_vq")
    return mean_and_se(_errors, model, variables, data.test, key)


def _errors(model, variables, batch, key):
    indices = codebook.of_batch(model, variables, batch, key)["indices"]
    found = {}
    for level in range(1, model.codebooks + 1):
        kept = jnp.where((jnp.arange(model.codebooks) < level).reshape((1,) * (indices.ndim - 1) + (-1,)), indices, -1)
        latents = model.apply(variables, kept[None], method="embed")
        mean = model.apply(variables, (latents,), batch, method="decode").mean[0]
        name = "first_level" if level == 1 else f"level_{level}"
        found[f"mse_per_pixel_{name}"] = jnp.square(mean - batch["x"]).reshape(len(mean), -1).mean(axis=1)
    return found
