"""The share of latents that lie in the mode of the prior that belongs to their class."""

import jax

from ae_jax.core.distributions import NormalMixture
from ae_jax.core.errors import UserError
from ae_jax.evaluation.gather import compiled, gather, mean_with_error

BETTER = {"own_mode_share": "max"}


def evaluate(model, variables, data, key) -> dict[str, float]:
    """Measure the share of examples whose latent lies in the mode of their class.

    The mode is the component of the prior under which the latent is most probable. An adversarial autoencoder whose
    critic sees labels moves latents there (Makhzani et al. 2016, arXiv:1511.05644, section 2.3). Examples whose label
    is unknown are left out.

    Returns:
      "own_mode_share", from 0 to 1.

    Raises:
      UserError: unless the prior is a mixture with one component for each class, or for data without labels.
    """
    classes = data.test.spec.classes
    if not classes:
        raise _unlabelled()
    # A prior that depends on the label is no mixture over the classes.
    has_prior = model.says("prior_of") and not model.conditional_prior
    prior = jax.eval_shape(lambda variables: _prior(model, variables), variables) if has_prior else None
    if not isinstance(prior, NormalMixture) or prior.loc.shape[0] != classes:
        raise UserError(
            f"metric 'own_mode' needs a prior with a mode for each of the {classes} classes\n"
            "use configs/aae.py:circle,labelled"
        )
    found = gather(compiled(_in_own_mode, model), variables, data.test, key)
    if "known" not in found or not found["known"].any():
        raise _unlabelled()
    return mean_with_error("own_mode_share", found["own"][found["known"]])


def _in_own_mode(model, variables, batch, key):
    code, prior = model.apply(variables, batch, rngs={"latent": key}).code, _prior(model, variables)
    if "label" not in batch:
        return {}
    own = prior.joint_log_prob(code).argmax(axis=1) == batch["label"]
    # Unknown labels are negative.
    return {"own": own.astype(code.dtype), "known": batch["label"] >= 0}


def _unlabelled():
    return UserError("metric 'own_mode' needs labels, and these data have none\nuse --metrics=mse")


def _prior(model, variables):
    return model.apply(variables, {}, method="prior_of")
