"""Uses of a trained model on arrays: encode, decode, reconstruct, sample and interpolate.

The functions take an opened run, `ae_jax.experiments.analysis.load(workdir)`, and NumPy arrays. They return NumPy
arrays. They share these arguments:

    x: examples [N, *input_shape]: floats as the model reads them, pixels in [0, 1]; or integers, which are levels of
        pixels, or events. Where the run scales its data, examples and results are in the units before that.
    label: for a conditional model, classes [M], by name or number, or vectors [M, L]. They are taken in turn where
        there are more examples.
    key: the random key of all that is drawn; by default that of the run's seed, as the command `apply` has it.
    batch_size: the number of examples in a device call.
"""

import functools
from typing import Any

import jax
import numpy as np

from ae_jax.core.distributions import centre
from ae_jax.core.errors import UserError
from ae_jax.core.types import Batch
from ae_jax.evaluation import requirements
from ae_jax.experiments import batched, sampling
from ae_jax.experiments.analysis import Trained


def encode(trained: Trained, x: Any, *, label: Any = None, key: Any = None, batch_size: int = 500) -> np.ndarray:
    """Return the latents [N, D] of examples: posterior means, where there is a posterior.

    Raises:
      UserError: the model does not read such examples or labels, or has no latents.
    """
    batch, key = batched.of_inputs(trained, x), _key(trained, key)
    return batched.compute(trained, _encode, batch, label=label, key=key, batch_size=batch_size)


def decode(trained: Trained, codes: Any, *, label: Any = None, key: Any = None, batch_size: int = 500) -> np.ndarray:
    """Return the means of p(x | latents), or its modes where x are classes, at latents [N, D]: [N, *shape].

    Raises:
      UserError: the model does not decode such latents or read such labels, or it reads the inputs beside the latents.
    """
    codes = np.asarray(codes, np.float32)
    if codes.ndim != 2 or not len(codes) or codes.shape[1] != dimension(trained):
        raise UserError(f"codes have shape {list(codes.shape)}\nexpected [N, {dimension(trained)}]")
    return _means_at(trained, codes, label=label, key=_key(trained, key), batch_size=batch_size)


def reconstruct(trained: Trained, x: Any, *, label: Any = None, key: Any = None, batch_size: int = 500) -> np.ndarray:
    """Return examples as the model would have them: encoded and decoded, so denoised or upscaled; [N, *shape].

    Raises:
      UserError: the model does not read such examples or labels, or has no latents.
    """
    batch, key = batched.of_inputs(trained, x), _key(trained, key)
    means = batched.compute(trained, _reconstruct, batch, label=label, key=key, batch_size=batch_size)
    return batched.in_own_units(trained, means)


def sample(
    trained: Trained,
    count: int = 16,
    *,
    sampler: str = "prior",
    temperature: float = 1.0,
    top_k: int = 0,
    event_temperature: float = 0.0,
    label: Any = None,
    key: Any = None,
    batch_size: int = 500,
) -> np.ndarray:
    """Draw latents, and return the means or modes of p(x | latents) there, [count, *shape].

    Args:
      trained: the opened run.
      count: how many examples are drawn.
      sampler: "prior", the model's own; a file of ae_jax/evaluation/samplers, fitted to latents of the training data;
        or the directory of a run that was trained on the latents of this one.
      temperature: the factor of the prior's standard deviation; of a run that draws token by token, the number that
        its logits are divided by.
      top_k: how many of the most probable tokens such a run can draw; 0 for all.
      event_temperature: for melodies, the temperature at which each event is drawn; 0 takes the most probable one.
      label: for a conditional model, classes or vectors, taken in turn.
      key: the random key; by default that of the run's seed.
      batch_size: the number of examples in a device call.

    Raises:
      UserError: the model cannot be sampled so.
    """
    sampling.check(trained.model, count, sampler, temperature, event_temperature, top_k)
    options = {"label": label, "key": _key(trained, key), "batch_size": batch_size}
    if sampler == "prior":
        drawn = sampling.from_prior(trained, count, temperature, event_temperature, **options)
        return batched.in_own_units(trained, drawn)
    codes, options["label"] = sampling.latents(trained, sampler, count, temperature, top_k, **options)
    return _means_at(trained, codes, **options)


def interpolate(
    trained: Trained,
    start: Any,
    end: Any,
    *,
    steps: int = 10,
    spherical: bool = False,
    label: Any = None,
    key: Any = None,
    batch_size: int = 500,
) -> np.ndarray:
    """Decode latents on the way from one latent to another, [steps, *shape].

    Args:
      trained: the opened run.
      start: the latent [D] at t = 0, as `encode` returns it.
      end: the latent [D] at t = 1.
      steps: how many latents are decoded, at even distances in t; a single one is at t = 1/2.
      spherical: whether to go along an arc around the origin, and not along a geodesic of the latent space.
      label: for a conditional model, classes or vectors, taken in turn.
      key: the random key; by default that of the run's seed.
      batch_size: the number of examples in a device call.

    Raises:
      UserError: there are no steps, or the model does not decode such latents.
    """
    if steps < 1:
        raise UserError(f"--steps={steps}\nexpected at least 1")
    start, end = np.asarray(start, np.float32), np.asarray(end, np.float32)
    t = np.linspace(0, 1, steps, dtype=np.float32) if steps > 1 else np.full(1, 0.5, np.float32)
    codes = _arc(start, end, t) if spherical else np.asarray(trained.model.space.geodesic(start, end, t))
    return decode(trained, codes, label=label, key=key, batch_size=batch_size)


def dimension(trained: Trained) -> int:
    """Return D, the length of a latent as `encode` returns it; nothing is computed."""
    encode, batch = functools.partial(_encode, trained.model), trained.experiment.shapes().batch
    return jax.eval_shape(encode, trained.variables, batch, jax.random.key(0)).shape[-1]


def _means_at(trained: Trained, codes: np.ndarray, **options: Any) -> np.ndarray:
    means = batched.compute(trained, _decode, {"code": codes, **batched.blank(len(codes))}, **options)
    return batched.in_own_units(trained, means)


def _key(trained: Trained, key: Any) -> Any:
    return jax.random.key(trained.seed) if key is None else key


def _arc(start: np.ndarray, end: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Return latents [T, D] at t [T] along the arc from `start` to `end`.

    They are sin((1-t) w)/sin(w) start + sin(t w)/sin(w) end, w the angle between both (Shoemake 1985, "Animating
    rotation with quaternion curves"), and stay as far from the origin as latents are. Where both point the same way, or
    opposite ways, no arc is the shortest, and a line is taken.
    """
    start, end, t = start[None], end[None], t[:, None]
    cosine = (start * end).sum() / max(np.linalg.norm(start) * np.linalg.norm(end), 1e-12)
    angle = np.arccos(np.clip(cosine, -1, 1))
    if np.sin(angle) < 1e-4:
        return (1 - t) * start + t * end
    return (np.sin((1 - t) * angle) * start + np.sin(t * angle) * end) / np.sin(angle)


# What is computed for a batch.


def _encode(model: Any, variables: Any, batch: Batch, key: Any) -> Any:
    return requirements.latent_code(model.apply(variables, batch, rngs={"latent": key}))


def _decode(model: Any, variables: Any, batch: Batch, key: Any) -> Any:
    rest = {name: values for name, values in batch.items() if name != "code"}
    return centre(model.apply(variables, (batch["code"][None],), rest, method="decode"))[0]


def _reconstruct(model: Any, variables: Any, batch: Batch, key: Any) -> Any:
    code = _encode(model, variables, batch, key)
    return centre(model.apply(variables, (code[None],), batch, method="decode"))[0]
