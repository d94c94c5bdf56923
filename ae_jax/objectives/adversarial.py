"""Objectives with two players, an autoencoder and a critic."""

from ae_jax.core.errors import UserError
from ae_jax.core.types import Batch, Outputs, Terms
from ae_jax.objectives.elbo import elbo
from ae_jax.objectives.reconstruction import reconstruction


def adversarial(outputs: Outputs, batch: Batch) -> dict[str, Terms]:
    """Return the terms of the autoencoder, which reconstructs and deceives, and of the critic.

    Makhzani et al. 2016, "Adversarial autoencoders", arXiv:1511.05644.

    Raises:
      UserError: for a model without a critic.
    """
    return _with_critic(reconstruction(outputs, batch), "adversarial", "aae")


def factor(outputs: Outputs, batch: Batch) -> dict[str, Terms]:
    """Return the terms of the negative ELBO with "total_correlation", and of the critic.

    Kim and Mnih 2018, "Disentangling by factorising", arXiv:1802.05983, equation 2.

    Raises:
      UserError: for a model without a critic, or a deterministic latent.
    """
    return _with_critic(elbo(outputs, batch), "factor", "factor")


def _with_critic(terms: Terms, objective: str, family: str) -> dict[str, Terms]:
    """Return terms by player. Raise UserError where the model has no critic."""
    if "critic" not in terms:
        raise UserError(f"objective {objective!r} needs a model with a critic\nuse --config.model.name={family}")
    critic = {"critic": terms.pop("critic")}
    return {"autoencoder": terms, "critic": critic}
