"""The reconstruction error alone, which a deterministic autoencoder minimises."""

from ae_jax.core.types import Batch, Outputs, Terms


def reconstruction(outputs: Outputs, batch: Batch) -> Terms:
    """Return -log p(x|z), averaged over samples, as "reconstruction", and the model's penalties."""
    nll = -outputs.likelihood.log_prob(batch["x"][None])
    return {"reconstruction": nll.mean(axis=0), **outputs.penalties}
