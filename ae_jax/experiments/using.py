"""Use a trained model on arrays: encode, decode, reconstruct, sample, interpolate, score.

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
import jax.numpy as jnp
import numpy as np

from ae_jax.core.distributions import Normal, centre
from ae_jax.core.errors import UserError
from ae_jax.core.types import Batch
from ae_jax.data import corruptions
from ae_jax.evaluation import requirements, scores
from ae_jax.experiments import batched, sampling
from ae_jax.experiments.analysis import Trained
from ae_jax.training.step import streams


def encode(trained: Trained, x: Any, *, label: Any = None, key: Any = None, batch_size: int = 500) -> np.ndarray:
    """Return the latents [N, D] of examples: posterior means, where there is a posterior.

    Raises:
      UserError: the model does not read such examples or labels, or has no latents.
    """
    batch, key = batched.of_inputs(trained, x), _key(trained, key)
    return batched.compute(trained, _encode, batch, label=label, key=key, batch_size=batch_size)


def encode_with_scale(
    trained: Trained, x: Any, *, label: Any = None, key: Any = None, batch_size: int = 500
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the latents of examples and the scales of their posteriors, both [N, D].

    The standard deviations are None unless there is one layer of latents, whose posterior is a normal distribution.

    Raises:
      UserError: as `encode`.
    """
    shapes = jax.eval_shape(
        functools.partial(code_and_scale, trained.model),
        trained.variables,
        trained.experiment.shapes().batch,
        jax.random.key(0),
    )
    batch, key = batched.of_inputs(trained, x), _key(trained, key)
    function = code_and_scale if "scale" in shapes else _encode
    found = batched.compute(trained, function, batch, label=label, key=key, batch_size=batch_size)
    return (found["code"], found["scale"]) if "scale" in shapes else (found, None)


def decode(trained: Trained, codes: Any, *, label: Any = None, key: Any = None, batch_size: int = 500) -> np.ndarray:
    """Return the means (for classes, the modes) of p(x | latents) at latents [N, D].

    Raises:
      UserError: the model does not decode such latents or read such labels, or it reads the inputs beside the latents.
    """
    codes = np.asarray(codes, np.float32)
    if codes.ndim != 2 or not len(codes) or codes.shape[1] != dimension(trained):
        raise UserError(f"codes have shape {list(codes.shape)}\nexpected [N, {dimension(trained)}]")
    return _means_at(trained, codes, label=label, key=_key(trained, key), batch_size=batch_size)


def reconstruct(trained: Trained, x: Any, *, label: Any = None, key: Any = None, batch_size: int = 500) -> np.ndarray:
    """Return examples encoded and decoded, so denoised or upscaled: [N, *shape].

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


def score(
    trained: Trained,
    x: Any,
    *,
    samples: int = 10,
    nll_samples: int = 0,
    features: bool = False,
    label: Any = None,
    key: Any = None,
    batch_size: int = 500,
) -> dict[str, np.ndarray]:
    """Score examples by how well the model explains each of them.

    They are prepared as in training, so binarised or dequantised where the training data were, but nothing corrupts
    them. What is drawn for an example depends on the key and its place alone, and not on `batch_size`.

    Args:
      trained: the opened run.
      x: examples [N, *shape].
      samples: how many latents are drawn from the posterior of each example.
      nll_samples: how many importance samples the estimate "nll" uses for each example; 0 to leave it out.
      features: whether "errors" are returned.
      label: for a conditional model, classes or vectors, taken in turn.
      key: the random key; by default that of the run's seed.
      batch_size: the number of examples in a device call.

    Returns:
      "mse", "reconstruction", "kl", "elbo", and "errors" [N, *shape], as `evaluation.scores.of_examples` returns them
      for a model of this family; "nll" and "nll_se" as `evaluation.scores.nll_of_examples` does.

    Raises:
      UserError: the model does not read such examples or labels, or has no density for "nll".
    """
    if trained.experiment.input_shape != trained.spec.shape:
        raise UserError("this model reads inputs of another shape than what it explains\nuse --task=reconstruct")
    requirements.at_least(1, samples=samples)
    if nll_samples:
        requirements.at_least(2, nll_samples=nll_samples)
    batch, key = batched.of_inputs(trained, x), _key(trained, key)
    # A key for each example, so that its draws do not depend on the examples with which it shares a device call.
    keys = jax.vmap(jax.random.fold_in, (None, 0))(key, np.arange(len(batch["mask"]), dtype=np.uint32))
    batch = {**batch, "x": batch["inputs"], "keys": np.asarray(jax.random.key_data(keys))}
    options: dict[str, Any] = {"samples": samples, "nll_samples": nll_samples, "features": features}
    options |= {
        "binarize": trained.experiment.config.data.binarize,
        "label": label,
        "key": key,
        "batch_size": batch_size,
    }
    return batched.compute(trained, _score, batch, **options)


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


def code_and_scale(model: Any, variables: Any, batch: Batch, key: Any) -> dict[str, Any]:
    """Return "code" [B, D] and, for a single layer with a normal posterior, "scale" [B, D]."""
    outputs = model.apply(variables, batch, rngs={"latent": key})
    found = {"code": requirements.latent_code(outputs)}
    posterior = outputs.latents[0].posterior
    if len(outputs.latents) == 1 and isinstance(posterior, Normal):
        scale = jnp.broadcast_to(jnp.exp(posterior.log_scale), posterior.loc.shape)
        found["scale"] = scale.reshape(found["code"].shape)
    return found


def _decode(model: Any, variables: Any, batch: Batch, key: Any) -> Any:
    rest = {name: values for name, values in batch.items() if name != "code"}
    return centre(model.apply(variables, (batch["code"][None],), rest, method="decode"))[0]


def _reconstruct(model: Any, variables: Any, batch: Batch, key: Any) -> Any:
    code = _encode(model, variables, batch, key)
    return centre(model.apply(variables, (code[None],), batch, method="decode"))[0]


def _score(
    model: Any,
    variables: Any,
    batch: Batch,
    key: Any,
    binarize: str,
    samples: int,
    nll_samples: int,
    features: bool,
) -> dict[str, Any]:
    batch = dict(batch)
    own = jax.random.wrap_key_data(batch.pop("keys"))
    keys = jax.vmap(functools.partial(jax.random.split, num=3))(own)

    dequantised = model.needs_dequantised and model.spec.kind == "pixels" and binarize == "none"
    prepare = corruptions.make_prepare(model.spec, binarize, dequantised)

    def augmented(example: Batch, key: Any) -> Batch:
        alone = prepare(streams(key), jax.tree.map(lambda leaf: leaf[None], example), {})
        return jax.tree.map(lambda leaf: leaf[0], alone)

    prepared = jax.vmap(augmented)(batch, keys[:, 0])
    found = scores.of_examples(model, variables, prepared, keys[:, 1], samples, features)
    if nll_samples:
        found |= scores.nll_of_examples(model, variables, prepared, keys[:, 2], nll_samples)
    return found
