"""How much the codes tell of which example they are of, in nats."""

import math
import sys

import jax
import jax.numpy as jnp
import numpy as np

from ae_jax.core.distributions import Normal
from ae_jax.core.errors import UserError
from ae_jax.evaluation import requirements
from ae_jax.evaluation.gather import compiled, gather, mean_with_error

BETTER = {"mutual_information": "max"}


def evaluate(model, variables, data, key, *, samples: int = 1) -> dict[str, float]:
    """I(x; z) = E[log q(z|x) - log q(z)], q(z) the mixture of the posteriors of all N examples, by `samples` draws of
    each (Hoffman and Johnson 2016, "ELBO surgery").

    It is at most log N, "log_aggregate_examples", whatever the model: within a nat of it a warning is printed.
    Raises UserError for a deterministic code.
    """
    found, context = against_aggregate("mutual_information", model, variables, data, key, samples)
    scores = mean_with_error("mutual_information", (found["log_q"] - found["log_aggregate"]).mean(axis=1))
    information, most = scores["mutual_information"], context["log_aggregate_examples"]
    if information > most - 1:
        print(
            f"warning: the mutual information, {information:.2f} nats, is near log N = {most:.2f}, where it saturates\n"
            f"take more than these {context['aggregate_examples']:.0f} examples",
            file=sys.stderr,
        )
    return {**scores, **context}


def against_aggregate(metric, model, variables, data, key, samples):
    """({"log_q", "log_p", "log_aggregate"}: [N, S] each, {"aggregate_examples": N, "log_aggregate_examples": log N}).

    The densities are of all layers of codes together. Layers but the one next to the data are drawn given that one
    alone, so the aggregate of all is the aggregate of that one times their densities.
    """
    requirements.at_least(1, **{f"{metric}_samples": samples})
    found = gather(compiled(_densities, model, metric=metric, samples=samples), variables, data.test, key)
    log_aggregate = np.asarray(_log_aggregate(found.pop("posterior"), found.pop("sample")))
    found["log_aggregate"] = log_aggregate + found.pop("log_q_above")
    count = len(found["log_q"])
    return found, {"aggregate_examples": float(count), "log_aggregate_examples": math.log(count)}


def _densities(model, variables, batch, key, metric, samples):
    *above, last = requirements.random_codes(metric, model, variables, batch, key, samples)
    if not isinstance(last.posterior, Normal):
        raise UserError(f"metric {metric!r} needs the density of each posterior at all codes, which must be normal")
    if last.posterior.loc.ndim == 3:
        raise UserError(f"metric {metric!r} needs codes that are drawn given x alone\ntry --metrics=elbo")
    log_q_above = sum((latent.log_q for latent in above), jnp.zeros_like(last.log_q))
    log_p = last.log_p + sum(latent.log_p for latent in above)
    by_sample = {"sample": last.sample, "log_q_above": log_q_above, "log_q": last.log_q + log_q_above, "log_p": log_p}
    by_example = {name: jnp.moveaxis(values, 0, 1) for name, values in by_sample.items()}
    return {**by_example, "posterior": last.posterior}


@jax.jit
def _log_aggregate(posterior, samples):
    """log of the mean over N posteriors of their densities at samples [N, S, D]: [N, S]."""
    count = len(samples)
    log_q = lambda z: jax.nn.logsumexp(posterior.log_prob(z[:, None]), axis=1) - math.log(count)
    return jax.lax.map(log_q, samples)
