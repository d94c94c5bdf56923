"""The reconstruction term alone: what a deterministic autoencoder minimises."""

from typing import Any

from ae_jax.core.types import Batch, Outputs


def reconstruction(outputs: Outputs, batch: Batch) -> dict[str, Any]:
    """-log p(x|z), averaged over the samples of z."""
    nll = -outputs.likelihood.log_prob(batch["x"][None])
    return {"reconstruction": nll.mean(axis=0), **outputs.penalties}
