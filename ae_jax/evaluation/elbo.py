"""The evidence lower bound and its two terms, in nats per example."""

from ae_jax import objectives
from ae_jax.reduce import mean_and_se

BETTER = {"elbo": "max", "reconstruction": "min", "kl": "min"}


def evaluate(model, variables, data, key, *, samples: int = 1) -> dict[str, float]:
    """E_q[log p(x|z)] - KL(q(z|x) || p(z)), by `samples` draws of z an example."""

    def per_example(variables, batch, key):
        terms = objectives.elbo(model.apply(variables, batch, num_samples=samples, rngs={"latent": key}), batch)
        nats = {"reconstruction": terms["reconstruction"], "kl": terms["kl"]}
        return {"elbo": -nats["reconstruction"] - nats["kl"], **nats}

    return mean_and_se(per_example, variables, data["test"], key)
