"""Negative log-likelihood -log p(x) by importance sampling."""

import functools
import math
import sys

import jax
import jax.numpy as jnp
import numpy as np

from ae_jax.core import importance
from ae_jax.devices import mesh
from ae_jax.evaluation import requirements
from ae_jax.evaluation.gather import gather, mean_with_error, standard_error

BETTER = {"nll": "min"}

# The share of effective samples below which the estimate is in doubt.
_FEW = 0.02


def evaluate(
    model, variables, data, key, *, samples: int = 5000, repeats: int = 1, chunk: int = 500
) -> dict[str, float]:
    """Estimate -log p(x) by -log (1/S) sum_s p(x, z_s) / q(z_s|x), with z_s drawn from q(z|x).

    The estimate is that of Burda et al. 2016, arXiv:1509.00519, section 5, averaged over the examples. It is above
    -log p(x) in expectation, and approaches it with more samples.

    Args:
      model: the trained model.
      variables: the parameters and other collections of the model.
      data: the data of the evaluation.
      key: random key.
      samples: how many importance samples (S) are drawn for each example.
      repeats: how many independent estimates are averaged.
      chunk: how many importance samples are in memory at a time.

    Returns:
      "nll" in nats, with its standard error over the examples, "nll_se". With several repeats also "nll_repeats_se",
      the standard error over the repeats. "nll_effective_share" is the effective sample size (sum w)^2 / sum w^2,
      divided by the number of samples and averaged over the examples; below 2 % a warning is printed. A Bernoulli
      likelihood of grey levels is no density, and the name is then "nll_surrogate".

    Raises:
      UserError: for a deterministic latent.
    """
    requirements.at_least(1, nll_samples=samples, nll_repeats=repeats, nll_chunk=chunk)
    estimate = _compiled(model, samples, min(chunk, samples))
    found = [gather(estimate, variables, data.test, one) for one in jax.random.split(key, repeats)]
    by_repeat = np.stack([each["nll"] for each in found]).astype(np.float64)
    name = "nll_surrogate" if found[0]["is_surrogate"].any() else "nll"
    scores = mean_with_error(name, by_repeat.mean(axis=0))
    if repeats > 1:
        scores[f"{name}_repeats_se"] = standard_error(by_repeat.mean(axis=1))
    scores[f"{name}_effective_share"] = float(np.mean([each["effective"] for each in found]) / samples)
    _warn_if_few(name, scores[f"{name}_effective_share"], samples)
    return scores


def _warn_if_few(name: str, share: float, samples: int) -> None:
    """Warn if few samples carry all the weight, because the estimate may be far too large."""
    if share < _FEW:
        print(
            f"warning: {name} rests on {share * samples:.1f} effective samples of {samples} ({share:.2%}), so it may "
            "be far above -log p(x)\nuse more --nll_samples, or --metrics=ais, which does not need the encoder",
            file=sys.stderr,
        )


@functools.lru_cache(maxsize=16)
def _compiled(model, samples, chunk):
    """Compile the estimates of a batch, a function of (variables, batch, keys [B])."""

    def compute(variables, batch, keys):
        return mesh.replicate(_estimates(model, variables, mesh.shard(batch), keys, samples, chunk))

    return jax.jit(compute)


def _estimates(model, variables, batch, keys, samples, chunk):
    if model.apply(variables, batch, method="encode", rngs={"latent": keys[0]}):
        # Only to refuse a model whose latent is deterministic. Its values are not used, so the compiler drops them.
        # Without latents the density is exact.
        requirements.random_codes("nll", model, variables, batch, keys[0])

    def in_turn(variables, examples):
        # One example at a time, with many samples: the matrix products are as large as for a batch, and the memory does
        # not grow with the batch.
        return jax.lax.map(lambda example: _estimate(model, variables, *example, samples, chunk), examples)

    return mesh.map_examples(in_turn, variables, (batch, keys))


def _estimate(model, variables, example, key, samples, chunk):
    """Estimate -log p(x) of a single example, which is a batch without its first axis."""
    batch = jax.tree.map(lambda leaf: leaf[None], example)

    def add(totals, number):
        total, squares = totals
        outputs = model.apply(variables, batch, num_samples=chunk, rngs={"latent": jax.random.fold_in(key, number)})
        # The last chunk may exceed the number of samples; what exceeds it has no weight.
        wanted = number * chunk + jnp.arange(chunk) < samples
        log_w = jnp.where(wanted, importance.log_weights(outputs, batch)[:, 0], -jnp.inf)
        totals = jnp.logaddexp(total, jax.nn.logsumexp(log_w)), jnp.logaddexp(squares, jax.nn.logsumexp(2 * log_w))
        return totals, requirements.is_surrogate(outputs.likelihood, batch["x"])

    (total, squares), surrogate = jax.lax.scan(add, (-jnp.inf, -jnp.inf), jnp.arange(-(-samples // chunk)))
    effective = importance.effective_samples(total, squares)
    return {"nll": math.log(samples) - total, "is_surrogate": surrogate.any(), "effective": effective}
