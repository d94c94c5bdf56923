"""The objective of an adversarial autoencoder, which has two players.

Makhzani et al. 2016, "Adversarial autoencoders", arXiv:1511.05644.
"""

from ae_jax.core.errors import UserError
from ae_jax.core.types import Batch, Outputs, Terms
from ae_jax.objectives.reconstruction import reconstruction


def adversarial(outputs: Outputs, batch: Batch) -> dict[str, Terms]:
    """Return the terms of the autoencoder, which reconstructs and deceives, and of the critic.

    Raises:
      UserError: for a model without a critic.
    """
    terms = reconstruction(outputs, batch)
    if "critic" not in terms:
        raise UserError("objective 'adversarial' needs a model with a critic\nuse --config.model.name=aae")
    critic = {"critic": terms.pop("critic")}
    return {"autoencoder": terms, "critic": critic}
