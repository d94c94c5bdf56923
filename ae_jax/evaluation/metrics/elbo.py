"""The evidence lower bound and its two terms, in nats per example."""

from ae_jax.evaluation import requirements
from ae_jax.evaluation.gather import mean_and_se
from ae_jax.objectives.elbo import elbo

BETTER = {"elbo": "max", "reconstruction": "min", "kl": "min"}


def evaluate(model, variables, data, key, *, samples: int = 1) -> dict[str, float]:
    """E_q[log p(x|z)] - KL(q(z|x) || p(z)), by `samples` draws of z an example."""
    requirements.at_least(1, elbo_samples=samples)
    return mean_and_se(_terms, model, variables, data.test, key, samples=samples)


def _terms(model, variables, batch, key, samples):
    terms = elbo(model.apply(variables, batch, num_samples=samples, rngs={"latent": key}), batch)
    distortion, rate = terms["reconstruction"], terms["kl"]
    return {"elbo": -distortion - rate, "reconstruction": distortion, "kl": rate}
