"""Posterior collapse: how many dimensions of the code carry anything, and how much each carries."""

from ae_jax.evaluation.metrics import active_units, kl_per_dimension

BETTER = active_units.BETTER


def evaluate(model, variables, data, key) -> dict[str, float]:
    """Both `active_units` and, where there is a closed form, `kl_per_dimension`.

    Raises UserError for a deterministic code.
    """
    counts = active_units.evaluate(model, variables, data, key)
    return {**counts, **kl_per_dimension.averages(model, variables, data, key)}
