"""The reconstruction term -log p(x|z) that training minimises, in nats per example."""

from ae_jax.evaluation.gather import mean_and_se
from ae_jax.objectives.reconstruction import reconstruction

BETTER = {"reconstruction": "min"}


def evaluate(model, variables, data, key) -> dict[str, float]:
    """-log p(x|z) at one draw of z."""
    return mean_and_se(_term, model, variables, data.test, key)


def _term(model, variables, batch, key):
    terms = reconstruction(model.apply(variables, batch, rngs={"latent": key}), batch)
    return {"reconstruction": terms["reconstruction"]}
