"""The evidence lower bound (ELBO) and its two terms."""

from ae_jax.evaluation import requirements
from ae_jax.evaluation.gather import mean_and_se
from ae_jax.objectives.elbo import elbo

BETTER = {"elbo": "max", "reconstruction": "min", "kl": "min"}


def evaluate(model, variables, data, key, *, samples: int = 1) -> dict[str, float]:
    """Estimate the ELBO, E_q[log p(x|z)] - KL(q(z|x) || p(z)), averaged over the examples.

    Args:
      model: the trained model.
      variables: the parameters and other collections of the model.
      data: the data of the evaluation.
      key: random key.
      samples: how many latents are drawn for each example.

    Returns:
      "elbo", "reconstruction" (-E_q[log p(x|z)]) and "kl", all in nats per example.

    Raises:
      UserError: for a deterministic latent.
    """
    requirements.at_least(1, elbo_samples=samples)
    return mean_and_se(_terms, model, variables, data.test, key, samples=samples)


def _terms(model, variables, batch, key, samples):
    terms = elbo(model.apply(variables, batch, num_samples=samples, rngs={"latent": key}), batch)
    distortion, rate = terms["reconstruction"], terms["kl"]
    return {"elbo": -distortion - rate, "reconstruction": distortion, "kl": rate}
