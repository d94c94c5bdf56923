"""How far the codes of all examples together are from the prior, in nats."""

from ae_jax.core.errors import UserError
from ae_jax.evaluation.gather import mean_with_error
from ae_jax.evaluation.metrics.mutual_information import against_aggregate

BETTER = {"aggregate_kl": "min"}


def evaluate(model, variables, data, key, *, samples: int = 1) -> dict[str, float]:
    """KL(q(z) || p(z)), q(z) the mixture of the posteriors of all N examples, by `samples` draws of each: the KL of the
    ELBO less the mutual information (Hoffman and Johnson 2016, "ELBO surgery").

    Raises UserError for a deterministic code, and for a prior that depends on the label.
    """
    if model.conditional_prior:
        raise UserError(
            "metric 'aggregate_kl' needs one prior for all examples, and this model's depends on the label\n"
            "try --metrics=elbo,mutual_information"
        )
    found, context = against_aggregate("aggregate_kl", model, variables, data, key, samples)
    return {**mean_with_error("aggregate_kl", (found["log_aggregate"] - found["log_p"]).mean(axis=1)), **context}
