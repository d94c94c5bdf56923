"""The reconstruction term of the training loss."""

from ae_jax.evaluation.gather import mean_and_se
from ae_jax.objectives.reconstruction import reconstruction

BETTER = {"reconstruction": "min"}


def evaluate(model, variables, data, key) -> dict[str, float]:
    """Measure the reconstruction term -log p(x|z), averaged over the examples.

    It is computed at one draw of the latent z.

    Returns:
      "reconstruction" in nats per example.
    """
    return mean_and_se(_term, model, variables, data.test, key)


def _term(model, variables, batch, key):
    terms = reconstruction(model.apply(variables, batch, rngs={"latent": key}), batch)
    return {"reconstruction": terms["reconstruction"]}
