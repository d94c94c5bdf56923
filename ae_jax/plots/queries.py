"""Ask a trained model for what figures draw: latents, labels, samples and decoded grids."""

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
from ae_jax.evaluation import gather as gathering
from ae_jax.evaluation import requirements

_CHUNK = 256  # codes decoded at a time


def at_least(least: int, **options: int) -> None:
    """Raises UserError for an option below `least`."""
    for name, value in options.items():
        if value < least:
            raise UserError(f"{name} is {value}\nexpected at least {least}")


def gather(
    per_example: Callable, variables: Any, batches: Iterable[Batch], key: Any, count: int
) -> dict[str, np.ndarray]:
    """What `per_example(variables, batch, key)` -> {name: [B, ...]} answers for the first `count` examples."""
    return gathering.gather(jax.jit(per_example), variables, batches, key, count)


def has_prior(model: Any) -> bool:
    """Whether new codes can be drawn without an example."""
    return model.says("generate")


def has_standard_prior(model: Any) -> bool:
    """Whether the prior of the codes next to the data is N(0, I)."""
    return model.standard_prior


def generate(model: Any, variables: Any, key: Any, count: int) -> np.ndarray:
    """What stands for the likelihood, [count, *shape], at draws of the prior; each class in turn, where it is read.

    Raises UserError for a model whose decoder reads more of an example than these.
    """
    _check_reads_codes_alone(model)
    batch = {"label": jnp.arange(count) % max(model.spec.classes, 1), "mask": jnp.ones(count)}
    generate = lambda variables, key: model.apply(variables, batch, method="generate", rngs={"latent": key})
    return np.asarray(jax.jit(lambda *given: distributions.centre(generate(*given))[0])(variables, key))


def _check_reads_codes_alone(model):
    if model.adds_inputs:
        raise UserError(
            "this figure decodes codes alone, and this model adds its inputs\ntry --figures=reconstructions"
        )


def label(batch: Batch) -> dict[str, Any]:
    """{"label": [B] or [B, L]} where the batch has labels, else nothing: a part of what `per_example` answers."""
    return {"label": batch["label"]} if "label" in batch else {}


def classes(batch: Batch) -> dict[str, Any]:
    """As `label`, of labels that are classes."""
    return {name: labels for name, labels in label(batch).items() if labels.ndim == 1}


def encode(model: Any, variables: Any, batch: Batch, key: Any) -> Any:
    """The code [B, D] of a batch."""
    return requirements.latent_code(model.apply(variables, batch, rngs={"latent": key}))


def dimensions(model: Any, variables: Any) -> int:
    """D, the length of a code; nothing is computed."""
    x = np.zeros((1, *model.spec.shape), np.float32)
    batch = {"x": x, "inputs": x, "mask": np.ones(1, np.float32), "label": np.zeros(1, np.int32)}
    return jax.eval_shape(functools.partial(encode, model), variables, batch, jax.random.key(0)).shape[-1]


def code_and_rate(model: Any, variables: Any, batch: Batch, key: Any) -> dict[str, Any]:
    """The "code" [B, D] of a batch, its "label" where there is one, and "kl" [B, D], KL(q(z_d|x) || p(z_d)) in nats,
    where that has a closed form.
    """
    code = encode(model, variables, batch, key)
    nats = kl_per_dimension(model.apply(variables, batch, method="encode", rngs={"latent": key})[-1])
    rate = {} if nats is None else {"kl": nats}
    return {"code": code, **label(batch), **rate}


def activity(found: dict[str, np.ndarray]) -> tuple[str, np.ndarray]:
    """(what is measured, how active each dimension [D] is): the mean "kl", or else the "deviation" of the codes."""
    return ("kl", found["kl"].mean(axis=0)) if "kl" in found else ("deviation", found["code"].std(axis=0))


def decode(model: Any, variables: Any, codes: np.ndarray, labels: Any = 0) -> np.ndarray:
    """What stands for the likelihood, [..., *shape], at free codes [..., D].

    labels: for a model that reads them the classes, int [...], or vectors [..., L], or what is broadcast to these.
    Raises UserError for a model whose decoder reads more of an example than these.
    """
    _check_reads_codes_alone(model)

    @jax.jit
    def mean(variables, z, label):
        batch = {"label": label, "mask": jnp.ones(len(z))}
        return distributions.centre(model.apply(variables, (z[None],), batch, method="decode"))[0]

    flat = np.asarray(codes, np.float32).reshape(-1, codes.shape[-1])
    vector = (model.spec.label_dim,) if model.spec.label_dim and np.ndim(labels) else ()
    labels = np.asarray(labels, np.float32 if vector else np.int32)
    labels = np.broadcast_to(labels, codes.shape[:-1] + vector).reshape(-1, *vector)
    chunks = [slice(start, start + _CHUNK) for start in range(0, len(flat), _CHUNK)]
    means = np.concatenate([np.asarray(mean(variables, flat[chunk], labels[chunk])) for chunk in chunks])
    return means.reshape(*codes.shape[:-1], *means.shape[1:])
