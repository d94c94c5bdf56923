"""Scores of single examples: how well a model explains each one."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ae_jax.core import errors, importance
from ae_jax.core.kl import kl
from ae_jax.core.types import Batch
from ae_jax.devices import mesh
from ae_jax.evaluation.gather import compiled, gather
from ae_jax.objectives.reconstruction import reconstruction

# The scores of which a larger value means a more typical example.
_LARGER_IS_TYPICAL = ("elbo",)
# The kinds of data whose values are numbers, so that a squared error means something.
_NUMBERS = ("pixels", "reals")


def of_batch(
    model: Any, variables: Any, batch: Batch, key: Any, samples: int = 1, features: bool = False
) -> dict[str, Any]:
    """Score the examples of a batch, each with a random key of its own; see `of_examples`."""
    return of_examples(model, variables, batch, jax.random.split(key, len(batch["x"])), samples, features)


def of_examples(
    model: Any, variables: Any, batch: Batch, keys: Any, samples: int = 1, features: bool = False
) -> dict[str, Any]:
    """Score the examples of a batch, each independently of the others.

    Args:
      model: the model.
      variables: its parameters and other collections.
      batch: {"x" [B, *shape], "inputs", "mask", "label"?, ...}. The encoder reads "x" where it can, so that nothing is
        corrupted.
      keys: a random key for each example [B].
      samples: how many latents are drawn from the posterior of each example.
      features: whether the squared error of each number of x is also returned.

    Returns:
      "reconstruction" [B], -E_q[log p(x|z)] in nats. For a model with a prior also "kl" and "elbo" in nats. For
      examples that are numbers, and a model with latents, also "mse", the mean squared error of the reconstruction at
      the posterior mean, and with `features` "errors" [B, *shape], of which it is the mean.
    """

    def one(example, key):
        alone = jax.tree.map(lambda leaf: leaf[None], example)
        return jax.tree.map(lambda leaf: leaf[0], _scores(model, variables, alone, key, samples, features))

    return jax.vmap(one)(_uncorrupted(batch), keys)


def _scores(model: Any, variables: Any, batch: Batch, key: Any, samples: int, features: bool) -> dict[str, Any]:
    """Score the examples of a batch with one random key."""
    outputs = model.apply(variables, batch, num_samples=samples, rngs={"latent": key})
    distortion = reconstruction(outputs, batch)["reconstruction"]
    found = {"reconstruction": distortion}
    if all(latent.log_q is not None and latent.log_p is not None for latent in outputs.latents):
        # A model without latents has no KL.
        rate = sum((kl(latent) for latent in outputs.latents), start=jnp.zeros(len(batch["x"])))
        found |= {"kl": rate, "elbo": -distortion - rate}
    if outputs.latents and model.spec.kind in _NUMBERS:
        mean = model.apply(variables, (outputs.code[None],), batch, method="decode").mean[0]
        squared = jnp.square(mean - batch["x"])
        found["mse"] = squared.reshape(len(squared), -1).mean(axis=1)
        if features:
            found["errors"] = squared
    return found


def nll_of_examples(
    model: Any, variables: Any, batch: Batch, keys: Any, samples: int, chunk: int = 500
) -> dict[str, Any]:
    """Estimate -log p(x) of each example by importance sampling, with its standard error.

    Args:
      model: the model.
      variables: its parameters and other collections.
      batch: as for `of_examples`.
      keys: a random key for each example [B].
      samples: S, how many importance samples are drawn for each example, at least 2.
      chunk: how many samples are in memory at a time.

    Returns:
      "nll" [B] in nats, -log 1/S sum_s w_s, and "nll_se" [B], the standard deviation of the weights w over their mean
      and sqrt(S), which is the standard error of the logarithm to first order.
    """
    chunk = min(chunk, samples)

    def one(variables, example, key):
        alone = jax.tree.map(lambda leaf: leaf[None], example)

        def add(totals, number):
            draw = jax.random.fold_in(key, number)
            outputs = model.apply(variables, alone, num_samples=chunk, rngs={"latent": draw})
            # The last chunk may exceed the number of samples; what exceeds it has no weight.
            wanted = number * chunk + jnp.arange(chunk) < samples
            log_w = jnp.where(wanted, importance.log_weights(outputs, alone)[:, 0], -jnp.inf)
            sums = jax.nn.logsumexp(log_w), jax.nn.logsumexp(2 * log_w)
            return tuple(map(jnp.logaddexp, totals, sums)), None

        (first, second), _ = jax.lax.scan(add, (-jnp.inf, -jnp.inf), jnp.arange(-(-samples // chunk)))
        # The mean of the squared weights over the square of their mean, less one, is their relative variance.
        relative = samples * jnp.exp(second - 2 * first) - 1
        return {"nll": math.log(samples) - first, "nll_se": jnp.sqrt(jnp.maximum(relative, 0) / (samples - 1))}

    def in_turn(variables, examples):
        # One example at a time, with many samples, so that the memory does not grow with the batch.
        return jax.lax.map(lambda example: one(variables, *example), examples)

    return mesh.map_examples(in_turn, variables, (_uncorrupted(batch), keys))


def _uncorrupted(batch: Batch) -> Batch:
    """Return a batch whose encoder reads "x" itself, unless inputs have another shape."""
    return {**batch, "inputs": batch["x"]} if batch["inputs"].shape == batch["x"].shape else batch


def of_batches(
    model: Any, variables: Any, batches: Iterable[Batch], key: Any, samples: int = 1
) -> tuple[dict[str, np.ndarray], np.ndarray | None]:
    """Score all examples that are not masked.

    Args:
      model: the model.
      variables: its parameters and other collections.
      batches: the batches.
      key: random key.
      samples: how many latents are drawn from the posterior of each example.

    Returns:
      The scores {name: [N]}, as `of_examples` returns them, and the classes [N]; None where there are none.
    """
    # Scores and labels are gathered together, because both leave out the same masked examples.
    found = gather(compiled(_scores_and_label, model, samples=samples), variables, batches, key)
    label = found.pop("label", None)
    return found, label if label is not None and label.ndim == 1 else None


def _scores_and_label(model: Any, variables: Any, batch: Batch, key: Any, samples: int) -> dict[str, Any]:
    labels = {"label": batch["label"]} if "label" in batch else {}
    return {**of_batch(model, variables, batch, key, samples), **labels}


def default(found: Mapping[str, Any]) -> str:
    """Return the score by which anomalies are found: the first of elbo, mse, reconstruction."""
    return next(name for name in ("elbo", "mse", "reconstruction") if name in found)


def anomaly(found: Mapping[str, np.ndarray], score: str = "") -> np.ndarray:
    """Return a score [N] that is larger for less typical examples.

    Args:
      found: {name of a score: values [N]}.
      score: the name of a score; "" for `default`.

    Raises:
      UserError: the model has no such score.
    """
    name = score or default(found)
    if name not in found:
        raise errors.unknown("score", name, [each for each in found if each not in ("errors", "nll_se")])
    return -found[name] if name in _LARGER_IS_TYPICAL else found[name]
