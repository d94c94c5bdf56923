"""Questions that figures ask a trained model: latents, labels, samples and decoded grids."""

import functools
from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ae_jax.core import distributions
from ae_jax.core.errors import UserError
from ae_jax.core.kl import kl_per_dimension
from ae_jax.core.types import Batch
from ae_jax.data.batching import by_example
from ae_jax.evaluation import gather as gathering
from ae_jax.evaluation import requirements

# How many latents are decoded at a time. The first chunk's program serves all but the last.
_CHUNK = 256


def gather(
    per_example: Callable, variables: Any, batches: Iterable[Batch], key: Any, count: int
) -> dict[str, np.ndarray]:
    """Collect the values of a function for the first examples that are not masked.

    Args:
      per_example: called as `per_example(variables, batch, key)`; returns {name: [B, ...]}. It is compiled here.
      variables: the parameters and other collections of the model.
      batches: the batches, of which as few as needed are read.
      key: random key.
      count: how many examples are wanted. There may be fewer.

    Returns:
      {name: [N, ...]}.
    """

    def compute(variables, batch, keys):
        return by_example(functools.partial(per_example, variables))(batch, keys)

    return gathering.gather(jax.jit(compute), variables, batches, key, count)


def has_prior(model: Any) -> bool:
    """Tell whether latents can be drawn from the model's prior, without an example."""
    return model.says("generate")


def has_standard_prior(model: Any) -> bool:
    """Tell whether the prior of the layer next to the data is N(0, I)."""
    return model.standard_prior


def generate(model: Any, variables: Any, key: Any, count: int) -> np.ndarray:
    """Generate examples from the prior.

    Args:
      model: the model.
      variables: its parameters and other collections.
      key: random key.
      count: N, how many examples are wanted. Classes take turns if the model reads the label.

    Returns:
      Means of the likelihood, or most probable classes, [N, *shape].

    Raises:
      UserError: for a model that adds its inputs to what it decodes.
    """
    _check_decodes_latents_alone(model)
    batch = {"label": jnp.arange(count) % max(model.spec.classes, 1), "mask": jnp.ones(count)}

    @jax.jit
    def centre(variables, key):
        return distributions.centre(model.apply(variables, batch, method="generate", rngs={"latent": key}))[0]

    return np.asarray(centre(variables, key))


def _check_decodes_latents_alone(model: Any) -> None:
    if model.adds_inputs:
        raise UserError(
            "this figure decodes latents alone, and this model adds its inputs to what it decodes\n"
            "use --figures=reconstructions"
        )


def label(batch: Batch) -> dict[str, Any]:
    """Return {"label": [B] or [B, L]} of a batch with labels, else nothing."""
    return {"label": batch["label"]} if "label" in batch else {}


def classes(batch: Batch) -> dict[str, Any]:
    """Return {"label": [B]} of a batch whose labels are classes, else nothing."""
    return {name: labels for name, labels in label(batch).items() if labels.ndim == 1}


def encode(model: Any, variables: Any, batch: Batch, key: Any) -> Any:
    """Return the latent [B, D] of a batch."""
    return requirements.latent_code(model.apply(variables, batch, rngs={"latent": key}))


def dimensions(model: Any, variables: Any) -> int:
    """Return the number of latent dimensions, from shapes alone."""
    x = np.zeros((1, *model.spec.shape), np.float32)
    batch = {"x": x, "inputs": x, "mask": np.ones(1, np.float32), "label": np.zeros(1, np.int32)}
    return jax.eval_shape(functools.partial(encode, model), variables, batch, jax.random.key(0)).shape[-1]


def code_and_rate(model: Any, variables: Any, batch: Batch, key: Any) -> dict[str, Any]:
    """Return latents, labels and KL divergences of a batch.

    Args:
      model: the model.
      variables: its parameters and other collections.
      batch: the examples.
      key: random key.

    Returns:
      "code" [B, D]; "label" if the batch has labels; "kl" [B, D], KL(q(z_d|x) || p(z_d)) in nats of the layer next to
      the data, if it has a closed form.
    """
    code = encode(model, variables, batch, key)
    nats = kl_per_dimension(model.apply(variables, batch, method="encode", rngs={"latent": key})[-1])
    rate = {} if nats is None else {"kl": nats}
    return {"code": code, **label(batch), **rate}


def activity(found: dict[str, np.ndarray]) -> tuple[str, np.ndarray]:
    """Measure how active each latent dimension is.

    Args:
      found: values that `code_and_rate` returned, of all examples.

    Returns:
      "kl" and the mean KL divergences [D] in nats or, without closed form, "deviation" and the standard deviations [D]
      of the latents.
    """
    if "kl" in found:
        return "kl", found["kl"].mean(axis=0)
    return "deviation", found["code"].std(axis=0)


def decode(model: Any, variables: Any, codes: np.ndarray, labels: Any = 0) -> np.ndarray:
    """Decode latents.

    Args:
      model: the model.
      variables: its parameters and other collections.
      codes: latents [..., D].
      labels: for a model that reads them, classes, int [...], or vectors [..., L]. They are broadcast to the latents.

    Returns:
      Means of the likelihood, or most probable classes, [..., *shape].

    Raises:
      UserError: for a model that adds its inputs to what it decodes.
    """
    _check_decodes_latents_alone(model)

    @jax.jit
    def centre(variables, z, label):
        batch = {"label": label, "mask": jnp.ones(len(z))}
        return distributions.centre(model.apply(variables, (z[None],), batch, method="decode"))[0]

    flat = np.asarray(codes, np.float32).reshape(-1, codes.shape[-1])
    vector = (model.spec.label_dim,) if model.spec.label_dim and np.ndim(labels) else ()
    labels = np.asarray(labels, np.float32 if vector else np.int32)
    labels = np.broadcast_to(labels, codes.shape[:-1] + vector).reshape(-1, *vector)
    parts = []
    for start in range(0, len(flat), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        parts.append(np.asarray(centre(variables, flat[chunk], labels[chunk])))
    decoded = np.concatenate(parts)
    return decoded.reshape(*codes.shape[:-1], *decoded.shape[1:])
