"""The negative log-likelihood -log p(x) by importance sampling, in nats."""

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
    """-log (1/S) sum_s p(x, z_s) / q(z_s|x), z_s drawn from q(z|x), averaged over the examples and over `repeats`
    independent estimates (Burda et al. 2016, arXiv:1509.00519, section 5): above -log p(x) in expectation, and the
    nearer the more `samples`. `chunk` of them are in memory at a time.

    "nll_se" is over the examples, "nll_repeats_se" over the repeats. A Bernoulli of grey levels is no density: the
    name is then "nll_surrogate". Raises UserError for a deterministic code.
    """
    requirements.at_least(1, nll_samples=samples, nll_repeats=repeats, nll_chunk=chunk)
    estimate = compiled(_estimates, model, samples=samples, chunk=min(chunk, samples))
    found = [gather(estimate, variables, data.test, one) for one in jax.random.split(key, repeats)]
    by_repeat = np.stack([each["nll"] for each in found]).astype(np.float64)
    name = "nll_surrogate" if found[0]["is_surrogate"].any() else "nll"
    scores = mean_with_error(name, by_repeat.mean(axis=0))
    means = by_repeat.mean(axis=1)
    return {**scores, **({f"{name}_repeats_se": standard_error(means)} if repeats > 1 else {})}


def _estimates(model, variables, batch, key, samples, chunk):
    if model.apply(variables, batch, method="encode", rngs={"latent": key}):  # else its density is exact
        requirements.random_codes("nll", model, variables, batch, key)

    def in_turn(variables, examples):
        # One example at a time, many samples of it: the matrix products are as large, and memory is bounded.
        return jax.lax.map(lambda example: _estimate(model, variables, *example, samples, chunk), examples)

    return mesh.by_example(in_turn, variables, (batch, jax.random.split(key, len(batch["x"]))))


def _estimate(model, variables, example, key, samples, chunk):
    """Of one example, a batch without its first axis: {"nll", "is_surrogate"}, both []."""
    batch = jax.tree.map(lambda leaf: leaf[None], example)

    def add(total, number):
        outputs = model.apply(variables, batch, num_samples=chunk, rngs={"latent": jax.random.fold_in(key, number)})
        wanted = number * chunk + jnp.arange(chunk) < samples
        log_w = jnp.where(wanted, importance.log_weights(outputs, batch)[:, 0], -jnp.inf)
        return jnp.logaddexp(total, jax.nn.logsumexp(log_w)), requirements.is_surrogate(outputs.likelihood, batch["x"])

    total, surrogate = jax.lax.scan(add, -jnp.inf, jnp.arange(-(-samples // chunk)))
    return {"nll": math.log(samples) - total, "is_surrogate": surrogate.any()}
