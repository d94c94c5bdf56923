"""Draw from a trained model: from its prior, or through a sampler of its latents."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ae_jax.core import lookup
from ae_jax.core.distributions import Normal, centre
from ae_jax.core.errors import UserError
from ae_jax.core.types import Batch
from ae_jax.evaluation import samplers, second_stage
from ae_jax.experiments import batched
from ae_jax.experiments.analysis import Trained


def check(model: Any, count: int, sampler: str, temperature: float, event_temperature: float, top_k: int = 0) -> None:
    """Raise UserError where a model cannot be sampled with these options of `using.sample`."""
    if count < 1:
        raise UserError(f"--count={count}\nexpected at least 1")
    if not 0 <= temperature < math.inf:
        raise UserError(f"--temperature={temperature}\nexpected a number of at least 0")
    if event_temperature and not (event_temperature > 0 and sampler == "prior" and model.says("write")):
        raise UserError(
            f"--event_temperature={event_temperature}\nexpected 0, or more with melodies of --sampler=prior"
        )
    if top_k and not second_stage.is_run(sampler):
        raise UserError(f"--top_k={top_k} is for a sampler that draws token by token\nexpected --sampler=RUN")
    if sampler != "prior" and temperature != 1 and not second_stage.is_run(sampler):
        raise UserError("--temperature is for the model's prior or a run\nexpected --sampler=prior or --sampler=RUN")
    if sampler == "prior" and temperature == 1 and not event_temperature and not model.says("generate"):
        others = ", ".join(lookup.choices("samplers"))
        raise UserError(
            "this model has no prior to draw codes from\n"
            f"try {f'--sampler=NAME, one of: {others}' if others else 'a model with a prior, such as a VAE'}"
        )


def from_prior(
    trained: Trained,
    count: int,
    temperature: float,
    event_temperature: float,
    *,
    label: Any,
    key: Any,
    batch_size: int,
) -> np.ndarray:
    """Return means or modes at latents from the prior, [count, *shape], or events drawn.

    The arguments are those of `ae_jax.experiments.using.sample`.
    """
    options: dict[str, Any] = {"temperature": temperature, "shape": trained.experiment.input_shape}
    options |= {"label": label, "key": key, "batch_size": batch_size}
    if event_temperature:
        return batched.compute(trained, _write, batched.blank(count), event_temperature=event_temperature, **options)
    return batched.compute(trained, _generate, batched.blank(count), **options)


def latents(
    trained: Trained,
    sampler: str,
    count: int,
    temperature: float,
    top_k: int,
    *,
    label: Any,
    key: Any,
    batch_size: int,
) -> tuple[np.ndarray, Any]:
    """Draw latents [count, D] through a sampler; return them and the labels to decode them.

    The arguments are those of `ae_jax.experiments.using.sample`.
    """
    if not second_stage.is_run(sampler):
        return _fitted(trained, sampler, count, key, batch_size), label
    run = second_stage.opened(sampler, trained.model, trained.variables, trained.data)
    of_run = label if run.model.reads_label else None
    second_stage.check_draws(run.model, sampler, temperature, top_k)
    options: dict[str, Any] = {"label": of_run, "key": key, "batch_size": batch_size}
    options |= {"temperature": temperature, "top_k": top_k}
    drawn = batched.compute(run, second_stage.draws, batched.blank(count), **options)
    codes = np.asarray(second_stage.latents(run.spec, trained.model, trained.variables, drawn))
    is_used_up = run.model.reads_label and not trained.model.reads_label
    return codes, None if is_used_up else label


def _fitted(trained: Trained, sampler: str, count: int, key: Any, batch_size: int) -> np.ndarray:
    """Return latents [count, D] from a sampler that is fitted to those of training examples."""
    fit = second_stage.fit_of(sampler)
    key_encode, key_fit, key_draw = jax.random.split(key, 3)
    train = batched.gathered(trained.data.train)
    label = batched.by_name(trained, train.get("label")) if trained.model.reads_label else None
    batch = batched.of_prepared(train["inputs"])
    codes = batched.compute(trained, samplers.one_draw, batch, label=label, key=key_encode, batch_size=batch_size)
    return np.asarray(fit(codes, key_fit)(key_draw, count))


def _generate(model: Any, variables: Any, batch: Batch, key: Any, temperature: float, shape: tuple[int, ...]) -> Any:
    """Draw from the prior and decode, [B, *shape]."""
    if temperature == 1:
        return centre(model.apply(variables, batch, method="generate", rngs={"latent": key}))[0]
    codes = _tempered(model, variables, batch, key, temperature, shape)
    return centre(model.apply(variables, codes, batch, method="decode"))[0]


def _write(
    model: Any,
    variables: Any,
    batch: Batch,
    key: Any,
    temperature: float,
    shape: tuple[int, ...],
    event_temperature: float,
) -> Any:
    """Draw from the prior, and draw the events that the decoder writes, [B, T]."""
    key_codes, key_events = jax.random.split(key)
    if temperature == 1:
        codes = model.apply(variables, batch, method="prior_codes", rngs={"latent": key_codes})
    else:
        codes = _tempered(model, variables, batch, key_codes, temperature, shape)
    return model.apply(variables, codes[-1][0], event_temperature, method="write", rngs={"sampling": key_events})


def _tempered(model: Any, variables: Any, batch: Batch, key: Any, temperature: float, shape: tuple[int, ...]) -> tuple:
    """Draw latents ([1, B, D],) from the prior with its standard deviation times `temperature`."""
    key_encode, key_draw = jax.random.split(key)
    # What is encoded does not matter to the prior, which may depend on the label.
    count = len(batch["mask"])
    whole = {**batch, "inputs": jnp.zeros((count, *shape))}
    top, *others = model.apply(variables, whole, method="encode", rngs={"latent": key_encode})
    if others or not isinstance(top.prior, Normal):
        raise UserError("--temperature needs one layer of codes, with a normal prior\nleave it out")
    prior = top.prior.replace(log_scale=top.prior.log_scale + jnp.log(temperature))
    z = prior.sample(key_draw, count if prior.mean.ndim == 1 else 1)
    return (z.reshape(1, count, -1),)
