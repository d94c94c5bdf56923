"""Bits per dimension: the cost in bits of each value of an example.

It is defined for data that are integer levels or classes.
"""

import math

import jax

from ae_jax.core.discretized import LogisticMixture
from ae_jax.core.distributions import Bernoulli, Categorical
from ae_jax.core.errors import UserError
from ae_jax.evaluation import requirements
from ae_jax.evaluation.gather import compiled, gather, mean_with_error
from ae_jax.evaluation.metrics import nll
from ae_jax.objectives.elbo import elbo

BETTER = {"elbo_bits_per_dim": "min", "nll_bits_per_dim": "min"}

# Likelihoods that are probabilities. A density of reals can exceed 1, so its logarithm is no number of bits.
MASSES = (LogisticMixture, Categorical, Bernoulli)
_NEEDS = "metric 'bits_per_dimension' needs probabilities"
_USE = "use model.likelihood=discretized_logistic_mixture"


def evaluate(model, variables, data, key, *, samples: int = 0) -> dict[str, float]:
    """Estimate -log p(x) / (D log 2), in bits, for examples of D values.

    Args:
      model: the trained model.
      variables: the parameters and other collections of the model.
      data: the data of the evaluation.
      key: random key.
      samples: how many importance samples estimate the negative log-likelihood, as metric `nll` does; 0 for the ELBO
        alone.

    Returns:
      "elbo_bits_per_dim", the upper bound from the negative ELBO. With `samples` also "nll_bits_per_dim".

    Raises:
      UserError: for a likelihood that is a density of reals or a loss, or for a deterministic latent.
    """
    requirements.at_least(0, bits_per_dimension_samples=samples)
    bits = 1 / (math.prod(model.spec.shape) * math.log(2))
    key_elbo, key_nll = jax.random.split(key)
    found = gather(compiled(_negative_elbo, model), variables, data.test, key_elbo)
    if found["is_surrogate"].any():
        raise UserError(f"{_NEEDS}, and a Bernoulli of grey levels is a loss\n{_USE}")
    scores = mean_with_error("elbo_bits_per_dim", bits * found["nats"])
    if samples:
        nats = nll.evaluate(model, variables, data, key_nll, samples=samples)
        scores |= {f"nll_bits_per_dim{suffix}": bits * nats[f"nll{suffix}"] for suffix in ("", "_se")}
    return scores


def _negative_elbo(model, variables, batch, key):
    outputs = model.apply(variables, batch, rngs={"latent": key})
    if not isinstance(outputs.likelihood, MASSES):
        raise UserError(f"{_NEEDS}, and a {type(outputs.likelihood).__name__} is a density of reals\n{_USE}")
    terms = elbo(outputs, batch)
    surrogate = requirements.is_surrogate(outputs.likelihood, batch["x"])
    return {"nats": terms["reconstruction"] + terms["kl"], "is_surrogate": surrogate}
