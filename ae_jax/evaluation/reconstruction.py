"""The reconstruction term -log p(x|z) that training minimises, in nats per example."""

from ae_jax import objectives
from ae_jax.reduce import mean_and_se

BETTER = {"reconstruction": "min"}


def evaluate(model, variables, data, key) -> dict[str, float]:
    """-log p(x|z) at one draw of z."""
    return mean_and_se(_term, model, variables, data["test"], key)


def _term(model, variables, batch, key):
    terms = objectives.reconstruction(model.apply(variables, batch, rngs={"latent": key}), batch)
    return {"reconstruction": terms["reconstruction"]}
