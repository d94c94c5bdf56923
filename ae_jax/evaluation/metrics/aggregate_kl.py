"""KL divergence of the aggregate posterior from the prior."""

from ae_jax.core.errors import UserError
from ae_jax.evaluation.gather import mean_with_error
from ae_jax.evaluation.metrics.mutual_information import against_aggregate

BETTER = {"aggregate_kl": "min"}


def evaluate(model, variables, data, key, *, samples: int = 1) -> dict[str, float]:
    """Estimate KL(q(z) || p(z)) of the aggregate posterior q(z) from the prior.

    q(z) is the mixture of the posteriors of all N examples. The divergence is the KL term of the ELBO minus the mutual
    information (Hoffman and Johnson 2016, "ELBO surgery").

    Args:
      model: the trained model.
      variables: the parameters and other collections of the model.
      data: the data of the evaluation.
      key: random key.
      samples: how many latents are drawn from the posterior of each example.

    Returns:
      "aggregate_kl" in nats, the number of examples N and log N.

    Raises:
      UserError: for a deterministic latent, or for a prior that depends on the label.
    """
    if model.conditional_prior:
        raise UserError(
            "metric 'aggregate_kl' needs one prior for all examples, and this model's prior depends on the label\n"
            "use --metrics=elbo,mutual_information"
        )
    found, context = against_aggregate("aggregate_kl", model, variables, data, key, samples)
    # The standard error is over the examples, whose samples are averaged first because they are not independent.
    return {**mean_with_error("aggregate_kl", (found["log_aggregate"] - found["log_p"]).mean(axis=1)), **context}
