"""Draw latents with a second-stage run.

A second-stage run was trained on the latents of the run that is sampled.
"""

import os
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from ae_jax.core import errors, lookup
from ae_jax.core.errors import UserError
from ae_jax.core.types import Batch, DataSpec
from ae_jax.evaluation import comparable

# {name that a sampler had while it was trained when it was asked for: the config that trains it}.
_CONFIGS = {"flow": "configs/latent_flow.py", "two_stage": "configs/latent_vae.py"}


def is_run(sampler: str) -> bool:
    """Return whether a sampler is a run directory.

    Names of samplers and package.module:Name are not.
    """
    is_name = sampler in ("prior", *lookup.choices("samplers")) or lookup.OWN.fullmatch(sampler)
    return not is_name and (os.path.isdir(sampler) or os.sep in sampler)


def fit_of(sampler: str) -> Callable:
    """Return the function that fits the sampler of this name.

    Raises:
      UserError: there is no such sampler; of one that is a run today, the error names its config.
    """
    if sampler in _CONFIGS:
        raise UserError(
            f"sampler {sampler!r} is a run of its own, which is trained first\n"
            f"train --config={_CONFIGS[sampler]} --config.data.path=RUN, and name its directory as the sampler"
        )
    names = lookup.choices("samplers")
    if sampler not in names and ":" not in sampler:
        raise errors.unknown("sampler", sampler, ("prior", *names, "the directory of a run on data.source=codes"))
    return lookup.find("samplers", sampler, "fit")


def opened(workdir: str, model: Any, variables: Any, data: Any) -> Any:
    """Open a second-stage run, and check that it was trained on the latents of this one.

    Args:
      workdir: the directory of the second-stage run.
      model: the model that is sampled.
      variables: its variables.
      data: its `EvalData`.

    Returns:
      The run, an `ae_jax.experiments.analysis.Trained`.

    Raises:
      UserError: the run was not trained on latents that this model decodes, or cannot be sampled.
    """
    run = data.open_run(workdir)
    section, digest = run.experiment.config.data, comparable.digest(variables)
    if section.source != "codes":
        raise UserError(
            f"sampler {workdir!r} is a run on data.source={section.source}\n"
            "expected a run on the latents of this one, such as configs/latent_flow.py trains"
        )
    trained_on = section.get("digest", "")
    if trained_on != digest:
        raise UserError(
            f"sampler {workdir!r} was trained on the latents of a run with parameters {trained_on or 'unknown'}, "
            f"and this one's are {digest}\n"
            "use a sampler that was trained on this run, and the --checkpoint and --params that it was trained on"
        )
    # A config that was not made for latents lists no layer, which means the same as an empty one.
    layer = section.get("layer", "")
    if layer and int(layer) != (last := _layers(model, variables, data) - 1):
        raise UserError(
            f"sampler {workdir!r} draws layer {layer} of the latents\nexpected a run on layer {last}, which is decoded"
        )
    if not run.model.says("generate"):
        raise UserError(f"sampler {workdir!r} has no prior to draw from\nexpected a run of a model with one")
    return run


def _layers(model: Any, variables: Any, data: Any) -> int:
    """Return how many layers of latents a model has. Nothing is computed."""
    x = np.zeros((1, *model.spec.shape), np.float32)
    label = np.zeros((1, model.spec.label_dim), np.float32) if model.spec.label_dim else np.zeros(1, np.int32)
    inputs = np.zeros((1, *data.input_shape), np.float32)
    batch = {"x": x, "inputs": inputs, "label": label, "mask": np.ones(1, np.float32)}

    def encode(variables, key):
        return model.apply(variables, batch, method="encode", rngs={"latent": key})

    return len(jax.eval_shape(encode, variables, jax.random.key(0)))


def check_draws(model: Any, sampler: str, temperature: float, top_k: int) -> None:
    """Raise UserError where a second-stage model cannot draw with these options of `draws`."""
    if (temperature != 1 or top_k) and not model.says("draw"):
        raise UserError(
            f"--temperature and --top_k are for a sampler that draws token by token, and {sampler!r} does not\n"
            "leave them out, or use a run of configs/transformer_prior.py"
        )
    if top_k < 0 or (top_k or temperature != 1) and not temperature > 0:
        raise UserError(
            f"--temperature={temperature} --top_k={top_k}\nuse a temperature above 0 and a top_k of at least 0"
        )


def draws(model: Any, variables: Any, batch: Batch, key: Any, temperature: float = 1.0, top_k: int = 0) -> Any:
    """Return examples [B, ...] that the second-stage model draws.

    Args:
      model: the second-stage model.
      variables: its variables.
      batch: its "mask" [B] tells how many are drawn; "label" is read by a model that says so.
      key: the random key.
      temperature: the number that logits are divided by, for a model that draws token by token.
      top_k: how many of the most probable tokens such a model can draw; 0 for all.
    """
    key_generate, key_sample = jax.random.split(key)
    given = {name: batch[name] for name in ("mask", "label") if name in batch}
    if model.says("draw"):
        return model.apply(variables, given, temperature, top_k, method="draw", rngs={"latent": key_generate})
    likelihood = model.apply(variables, given, method="generate", rngs={"latent": key_generate})
    return likelihood.sample(key_sample, 1)[0, 0]


def latents(spec: DataSpec, model: Any, variables: Any, drawn: Any) -> Any:
    """Return the latents [B, D], as `decode` takes them, for `draws` of a second-stage run.

    Args:
      spec: what the draws look like, the second-stage model's.
      model: the model that is sampled.
      variables: its variables.
      drawn: the draws [B, ...].
    """
    if spec.kind == "tokens":
        drawn = model.apply(variables, drawn.astype(np.int32)[None], method="embed")[0]
    else:
        drawn = spec.restored(drawn)
    return drawn.reshape(len(drawn), -1)
