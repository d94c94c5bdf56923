"""Posterior collapse: how many latent dimensions are active, and how many nats each carries."""

from ae_jax.evaluation.metrics import active_units, kl_per_dimension

BETTER = active_units.BETTER


def evaluate(model, variables, data, key) -> dict[str, float]:
    """Measure posterior collapse by the metrics `active_units` and `kl_per_dimension`.

    Returns:
      The values of `active_units` and, if the KL divergence has a closed form, those of `kl_per_dimension` in nats.

    Raises:
      UserError: for a deterministic latent.
    """
    counts = active_units.evaluate(model, variables, data, key)
    return {**counts, **kl_per_dimension.averages(model, variables, data, key)}
