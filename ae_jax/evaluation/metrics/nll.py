"""Negative log-likelihood -log p(x) by importance sampling."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from ae_jax.core import importance
from ae_jax.devices import mesh
from ae_jax.evaluation import requirements
from ae_jax.evaluation.gather import compiled, gather, mean_with_error, standard_error

BETTER = {"nll": "min"}


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
      the standard error over the repeats. A Bernoulli likelihood of grey levels is no density, and the name is then
      "nll_surrogate".

    Raises:
      UserError: for a deterministic latent.
    """
    requirements.at_least(1, nll_samples=samples, nll_repeats=repeats, nll_chunk=chunk)
    estimate = compiled(_estimates, model, samples=samples, chunk=min(chunk, samples))
    found = [gather(estimate, variables, data.test, one) for one in jax.random.split(key, repeats)]
    by_repeat = np.stack([each["nll"] for each in found]).astype(np.float64)
    name = "nll_surrogate" if found[0]["is_surrogate"].any() else "nll"
    scores = mean_with_error(name, by_repeat.mean(axis=0))
    if repeats > 1:
        scores[f"{name}_repeats_se"] = standard_error(by_repeat.mean(axis=1))
    return scores


def _estimates(model, variables, batch, key, samples, chunk):
    if model.apply(variables, batch, method="encode", rngs={"latent": key}):
        # Only to refuse a model whose latent is deterministic. Its values are not used, so the compiler drops them.
        # Without latents the density is exact.
        requirements.random_codes("nll", model, variables, batch, key)

    def in_turn(variables, examples):
        # One example at a time, with many samples: the matrix products are as large as for a batch, and the memory does
        # not grow with the batch.
        return jax.lax.map(lambda example: _estimate(model, variables, *example, samples, chunk), examples)

    return mesh.map_examples(in_turn, variables, (batch, jax.random.split(key, len(batch["x"]))))


def _estimate(model, variables, example, key, samples, chunk):
    """Estimate -log p(x) of a single example, which is a batch without its first axis."""
    batch = jax.tree.map(lambda leaf: leaf[None], example)

    def add(total, number):
        outputs = model.apply(variables, batch, num_samples=chunk, rngs={"latent": jax.random.fold_in(key, number)})
        # The last chunk may exceed the number of samples; what exceeds it has no weight.
        wanted = number * chunk + jnp.arange(chunk) < samples
        log_w = jnp.where(wanted, importance.log_weights(outputs, batch)[:, 0], -jnp.inf)
        return jnp.logaddexp(total, jax.nn.logsumexp(log_w)), requirements.is_surrogate(outputs.likelihood, batch["x"])

    total, surrogate = jax.lax.scan(add, -jnp.inf, jnp.arange(-(-samples // chunk)))
    return {"nll": math.log(samples) - total, "is_surrogate": surrogate.any()}
