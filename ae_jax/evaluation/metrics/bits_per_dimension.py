"""Bits per dimension: what each value of an example costs in bits, the data being whole levels, or classes."""

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

_MASSES = (LogisticMixture, Categorical, Bernoulli)
_TRY = "try model.likelihood=discretized_logistic_mixture"


def evaluate(model, variables, data, key, *, samples: int = 0) -> dict[str, float]:
    """-log p(x) / (D log 2) of examples of D values: as "elbo_bits_per_dim" its bound by the negative ELBO and, by as
    many importance `samples`, as "nll_bits_per_dim" the estimate that metric `nll` gives in nats.

    Raises UserError where the likelihood is a density of reals or a loss, as bits are of probabilities; for a
    deterministic code.
    """
    requirements.at_least(0, bits_per_dimension_samples=samples)
    bits = 1 / (math.prod(model.spec.shape) * math.log(2))
    key_elbo, key_nll = jax.random.split(key)
    found = gather(compiled(_negative_elbo, model), variables, data.test, key_elbo)
    if found["is_surrogate"].any():
        raise UserError(f"a Bernoulli of grey levels is a loss, and has no bits per dimension\n{_TRY}")
    scores = mean_with_error("elbo_bits_per_dim", bits * found["nats"])
    if samples:
        nats = nll.evaluate(model, variables, data, key_nll, samples=samples)
        scores |= {f"nll_bits_per_dim{suffix}": bits * nats[f"nll{suffix}"] for suffix in ("", "_se")}
    return scores


def _negative_elbo(model, variables, batch, key):
    outputs = model.apply(variables, batch, rngs={"latent": key})
    if not isinstance(outputs.likelihood, _MASSES):
        kind = type(outputs.likelihood).__name__
        raise UserError(f"a {kind} is a density of reals, and has no bits per dimension\n{_TRY}")
    terms = elbo(outputs, batch)
    surrogate = requirements.is_surrogate(outputs.likelihood, batch["x"])
    return {"nats": terms["reconstruction"] + terms["kl"], "is_surrogate": surrogate}
