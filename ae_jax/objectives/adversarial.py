"""The two players of an adversarial autoencoder."""

from typing import Any

from ae_jax.core.errors import UserError
from ae_jax.core.types import Batch, Outputs
from ae_jax.objectives.reconstruction import reconstruction


def adversarial(outputs: Outputs, batch: Batch) -> dict[str, dict[str, Any]]:
    """The two players of an adversarial autoencoder: the autoencoder, reconstructing and generating, and the critic."""
    terms = reconstruction(outputs, batch)
    if "critic" not in terms:
        raise UserError("objective 'adversarial' needs a model with a critic\ntry --config.model.name=aae")
    return {"autoencoder": terms, "critic": {"critic": terms.pop("critic")}}
