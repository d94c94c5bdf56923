"""Mutual information between examples and their latents."""

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
    """Estimate the mutual information I(x; z) = E[log q(z|x) - log q(z)].

    q(z) is the mixture of the posteriors of all N examples (Hoffman and Johnson 2016, "ELBO surgery"). The estimate is
    at most log N, whatever the model is. A warning is printed if it is within a nat of that limit.

    Args:
      model: the trained model.
      variables: the parameters and other collections of the model.
      data: the data of the evaluation.
      key: random key.
      samples: how many latents are drawn from the posterior of each example.

    Returns:
      "mutual_information" in nats, "aggregate_examples" (N) and "log_aggregate_examples" (log N).

    Raises:
      UserError: for a deterministic latent.
    """
    found, context = against_aggregate("mutual_information", model, variables, data, key, samples)
    scores = mean_with_error("mutual_information", (found["log_q"] - found["log_aggregate"]).mean(axis=1))
    information, most = scores["mutual_information"], context["log_aggregate_examples"]
    if information > most - 1:
        print(
            f"warning: the mutual information, {information:.2f} nats, is near log N = {most:.2f}, where it saturates\n"
            f"use more examples than these {context['aggregate_examples']:.0f}, by a larger --limit or another --split",
            file=sys.stderr,
        )
    return {**scores, **context}


def against_aggregate(metric, model, variables, data, key, samples):
    """Compute densities of latents under posterior, prior and aggregate posterior q(z).

    The densities are those of all layers of latents together. The layers above the one next to the data are drawn given
    that one alone. The aggregate posterior of all layers is therefore the aggregate of that layer times the densities
    of the others.

    Args:
      metric: the name of the metric, for messages.
      model: the model.
      variables: its parameters and other collections.
      data: the data of the evaluation.
      key: random key.
      samples: S, how many latents are drawn from the posterior of each example.

    Returns:
      {"log_q", "log_p", "log_aggregate"}: arrays [N, S] in nats, and {"aggregate_examples": N,
      "log_aggregate_examples": log N}.

    Raises:
      UserError: if the posteriors are not normal, or depend on the samples of another layer.
    """
    requirements.at_least(1, **{f"{metric}_samples": samples})
    found = gather(compiled(_densities, model, metric=metric, samples=samples), variables, data.test, key)
    log_aggregate = np.asarray(_log_aggregate(found.pop("posterior"), found.pop("sample")))
    found["log_aggregate"] = log_aggregate + found.pop("log_q_above")
    count = len(found["log_q"])
    return found, {"aggregate_examples": float(count), "log_aggregate_examples": math.log(count)}


def _densities(model, variables, batch, key, metric, samples):
    """Return the posterior next to the data, its samples [B, S, D], and log densities [B, S]."""
    *above, last = requirements.random_codes(metric, model, variables, batch, key, samples)
    if not isinstance(last.posterior, Normal):
        raise UserError(f"metric {metric!r} needs normal posteriors, and this model's are not\nuse --metrics=elbo")
    if last.posterior.loc.ndim == 3:
        raise UserError(
            f"metric {metric!r} needs a posterior that depends on x alone, and this model's depends on another layer\n"
            "use --metrics=elbo"
        )
    log_q_above = sum((latent.log_q for latent in above), jnp.zeros_like(last.log_q))
    log_p = last.log_p + sum(latent.log_p for latent in above)
    by_sample = {"sample": last.sample, "log_q_above": log_q_above, "log_q": last.log_q + log_q_above, "log_p": log_p}
    # The first axis of gathered values must be that of the examples.
    by_example = {name: jnp.moveaxis(values, 0, 1) for name, values in by_sample.items()}
    return {**by_example, "posterior": last.posterior}


@jax.jit
def _log_aggregate(posterior, samples):
    """Return the log density [N, S] of samples [N, S, D] under the mixture of N posteriors."""
    count = len(samples)

    def log_q(z):
        return jax.nn.logsumexp(posterior.log_prob(z[:, None]), axis=1) - math.log(count)

    # One example at a time, because all pairs of examples at once would not fit into memory.
    return jax.lax.map(log_q, samples)
