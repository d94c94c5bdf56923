"""Bits of an example under its discrete codes and a prior for them."""

import math

import jax.numpy as jnp
import numpy as np

from ae_jax.core.errors import UserError
from ae_jax.evaluation import requirements, second_stage
from ae_jax.evaluation.gather import compiled, gather, mean_with_error
from ae_jax.evaluation.metrics import bits_per_dimension, codebook

BETTER = {"bits": "min", "bits_per_dim": "min", "bits_of_codes": "min", "bits_given_codes": "min"}

_USE = "use a Bernoulli of binary pixels, such as configs/vq_vae.py:binary, or discretized_logistic_mixture"


def evaluate(model, variables, data, key, *, sampler: str = "uniform") -> dict[str, float]:
    """Measure -log2 p(codes) - log2 p(x | codes), an upper bound on -log2 p(x).

    p(x) is the sum over all codes, of which these are the ones that the encoder chooses.

    Args:
      model: the trained model, whose latent is discrete.
      variables: the parameters and other collections of the model.
      data: the data of the evaluation.
      key: random key.
      sampler: the prior of the codes: "uniform", or the directory of a run that was trained on the codes of this one.

    Returns:
      "bits" of an example, "bits_per_dim", and the two parts "bits_of_codes" and "bits_given_codes".

    Raises:
      UserError: for a latent that is not discrete, a likelihood that is no probability of x, or a prior without an
        exact probability.
    """
    of_codes = _prior(sampler, model, variables, data)
    given_codes = compiled(_given_codes, model)

    def compute(variables, batch, key):
        found = given_codes(variables, batch, key)
        return {**found, "codes": of_codes(found.pop("indices"), batch, key)}

    found = gather(compute, variables, data.test, key)
    if found["is_surrogate"].any():
        raise UserError(f"metric 'bits' needs probabilities, and a Bernoulli of grey levels is a loss\n{_USE}")
    codes, given = found["codes"].astype(np.float64), found["given"].astype(np.float64)
    scores = mean_with_error("bits", codes + given)
    scores |= mean_with_error("bits_per_dim", (codes + given) / math.prod(model.spec.shape))
    return scores | mean_with_error("bits_of_codes", codes) | mean_with_error("bits_given_codes", given)


def _prior(sampler, model, variables, data):
    """Return a function (indices [B, ...], batch, key) -> -log2 p(codes) [B]."""
    if sampler == "uniform":
        spec = model.code_spec
        bits = 0.0 if spec is None else math.prod(spec.shape) * math.log2(spec.levels)
        return lambda indices, batch, key: jnp.full(len(indices), bits)
    run = second_stage.opened(sampler, model, variables, data)
    of_codes = compiled(_of_codes, run.model)

    def compute(indices, batch, key):
        return of_codes(run.variables, {**batch, "x": indices, "inputs": indices}, key)

    return compute


def _given_codes(model, variables, batch, key):
    indices = codebook.of_batch(model, variables, batch, key)["indices"]
    likelihood = model.apply(variables, batch, rngs={"latent": key}).likelihood
    if not isinstance(likelihood, bits_per_dimension.MASSES):
        raise UserError(f"metric 'bits' needs probabilities, and a {type(likelihood).__name__} is a density\n{_USE}")
    return {
        "indices": indices,
        "given": -likelihood.log_prob(batch["x"][None])[0] / math.log(2),
        "is_surrogate": requirements.is_surrogate(likelihood, batch["x"]),
    }


def _of_codes(prior, variables, batch, key):
    batch = {**batch, "x": batch["x"].astype(jnp.float32), "inputs": batch["x"].astype(jnp.float32)}
    outputs = prior.apply(variables, batch, rngs={"latent": key})
    if outputs.latents:
        raise UserError("metric 'bits' needs a prior without latents, whose probabilities are exact\nuse a transformer")
    return -outputs.likelihood.log_prob(batch["x"][None])[0] / math.log(2)
