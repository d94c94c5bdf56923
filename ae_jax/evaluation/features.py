"""Features by which metrics such as the Frechet distance compare samples with real data.

The feature extractor is the latent of any run, such as a classifier, or an `.npz` file of features that another network
computed. The name of the extractor is part of the name of each score, because distances between the features of
different extractors cannot be compared.
"""

import dataclasses
import hashlib
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from ae_jax.core import errors, lookup
from ae_jax.core.discretized import LogisticMixture
from ae_jax.core.errors import UserError
from ae_jax.data.batching import evenly
from ae_jax.evaluation import comparable, gather, requirements, samplers, second_stage

_SPLITS = ("samples", "test", "train")


@dataclasses.dataclass(frozen=True)
class Features:
    """Equally many features of samples, of the evaluated split and of the training split.

    The distance between the training split and the evaluated split is the floor for the distance of the samples.

    Args:
      name: name of the feature extractor.
      digest: hash of the extractor's parameters, or of the file.
      rows: {"samples", "test", "train"}: features [N, F].
    """

    name: str
    digest: str
    rows: Mapping[str, np.ndarray]


def scores(
    metric: str,
    score: Callable,
    model: Any,
    variables: Any,
    data: Any,
    key: Any,
    features: str,
    sampler: str,
    neighbours: int = 1,
) -> dict[str, Any]:
    """Score samples of a model against real examples, by their features.

    Training examples are scored, too. Their score is the floor for that of samples, because both are compared with an
    equal number of examples of the evaluated split.

    Args:
      metric: the name of the metric, for its flags and messages.
      score: called as `score(rows, real)` with features [N, F] of each; returns {name: value}.
      model: the model whose samples are scored.
      variables: the parameters and other collections of the model.
      data: the `EvalData`.
      key: random key.
      features: a run directory, or an .npz of "samples", "test" and "train". It is the feature extractor, and required.
      sampler: where latents of samples are drawn from: "prior"; a file of ae_jax/evaluation/samplers, fitted to the
        latents of training examples; or the directory of a run that was trained on the latents of this one.
      neighbours: the metric needs more examples than this.

    Returns:
      {NAME_EXTRACTOR: of samples, NAME_EXTRACTOR_floor: of training examples}, the number of examples N, and the digest
      of the extractor.

    Raises:
      UserError: if there is no extractor, if the samples cannot be drawn, or if there are too few examples.
    """
    if not features:
        raise UserError(
            f"metric {metric!r} needs a feature extractor\n"
            f"use --{metric}_features=RUN, such as a run of configs/classifier.py, or an .npz of {', '.join(_SPLITS)}"
        )
    if features.endswith(".npz"):
        found = _stored(features)
    else:
        found = _of_run(features, model, variables, data, key, sampler)
    count = len(found.rows["test"])
    if count <= neighbours:
        raise UserError(f"metric {metric!r} has {count} examples of each kind\nuse more than {neighbours}")
    of_samples = score(found.rows["samples"], found.rows["test"])
    of_training = score(found.rows["train"], found.rows["test"])
    return {
        **_named(of_samples, found.name),
        **_named(of_training, f"{found.name}_floor"),
        f"{metric}_examples": float(count),
        f"{metric}_features_digest": found.digest,
    }


def _named(values: Mapping[str, float], suffix: str) -> dict[str, float]:
    """Append a suffix to the names of scores, before the "_se" of a standard error."""
    named = {}
    for name, value in values.items():
        ending = "_se" if name.endswith("_se") else ""
        named[f"{name.removesuffix('_se')}_{suffix}{ending}"] = float(value)
    return named


def _equal_in_number(rows: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Subsample sets of features to the size of the smallest, evenly, as they may be sorted."""
    count = min(map(len, rows.values()))
    return {name: np.asarray(values[evenly(count, len(values))], np.float64) for name, values in rows.items()}


def _stored(file: str) -> Features:
    """Read features from an .npz file.

    Raises:
      UserError: if the file is damaged or lacks one of the three sets.
    """
    path = pathlib.Path(file)
    if not path.is_file():
        raise UserError(f"there is no file {file!r}\nuse an .npz with {', '.join(_SPLITS)}, or a run directory")
    remedy = f"use arrays [N, F] of finite numbers, with the same F: {', '.join(_SPLITS)}"
    try:
        with path.open("rb") as stored, np.load(stored) as arrays:
            rows = {name: np.asarray(arrays[name], np.float64) for name in arrays if name in _SPLITS}
    except (*errors.DAMAGED, TypeError) as error:
        raise UserError(f"{file!r} cannot be read: {error}\n{remedy}") from None
    for name in _SPLITS:
        if name not in rows or rows[name].ndim != 2:
            raise UserError(f"{file!r} has no features {name!r}\n{remedy}")
        if rows[name].shape[1] != rows["samples"].shape[1] or not np.isfinite(rows[name]).all():
            raise UserError(f"{name!r} in {file!r} has shape {rows[name].shape}, or is not all finite\n{remedy}")
    return Features(path.stem, hashlib.sha256(path.read_bytes()).hexdigest()[:12], _equal_in_number(rows))


def _of_run(workdir: str, model: Any, variables: Any, data: Any, key: Any, sampler: str) -> Features:
    """Extract features with a run, whose latents of samples and of clean real examples they are.

    Args:
      workdir: directory of the run that is the feature extractor.
      model: the model whose samples are scored.
      variables: the parameters and other collections of the model.
      data: the `EvalData`.
      key: random key.
      sampler: where latents of samples are drawn from, as for `scores`.
    """
    ((network, its_variables, _),) = comparable.opened(data, (workdir,), model.spec, model.spec.shape)
    key_draw, key_features, key_examples = jax.random.split(key, 3)
    draw = _sampler(model, variables, data, key_draw, sampler)
    codes = gather.compiled(_codes, network)

    def extract(x, batch):
        # The extractor reads x itself, also where inputs are corrupted in this run or in its own.
        return codes(its_variables, {**batch, "x": x, "inputs": x}, key_features)

    def of_samples_and_split(_, batch, keys):
        return {"samples": extract(draw(batch, keys), batch), "test": extract(batch["x"], batch)}

    def of_training(_, batch, keys):
        return {"train": extract(batch["x"], batch)}

    rows = gather.gather(of_samples_and_split, variables, data.test, key_examples)
    train, _ = data.train.spread(len(rows["test"]))
    rows |= gather.gather(of_training, variables, train, key_examples)
    digest = comparable.digest(its_variables)
    return Features(pathlib.Path(workdir).name, digest, _equal_in_number(rows))


def _codes(network, variables, batch, key):
    return requirements.latent_code(network.apply(variables, batch, rngs={"latent": key}))


def _sampler(model, variables, data, key, sampler) -> Callable:
    """Return the function that draws samples [B, *shape] of a model for a batch and keys [B].

    There are as many samples as examples in the batch, with the same labels.

    Raises:
      UserError: for a model that has no samples, or for the prior of a model without one.
    """
    if model.adds_inputs:
        raise UserError("this model adds its inputs to what it decodes, and so has no samples\nuse --metrics=psnr")
    if sampler == "prior":
        if not model.says("generate"):
            others = ", ".join(lookup.choices("samplers"))
            raise UserError(f"this model has no prior to draw samples from\nuse a sampler, one of: {others}, RUN")
        generate = gather.compiled(_from_prior, model)
        return lambda batch, keys: generate(variables, batch, keys)
    if second_stage.is_run(sampler):
        run = second_stage.opened(sampler, model, variables, data)
        through, both = gather.compiled(_through, model, second=run.model), {"own": variables, "second": run.variables}
        return lambda batch, keys: through(both, batch, keys)
    fit = second_stage.fit_of(sampler)
    key_encode, key_fit = jax.random.split(key)
    one_draw = gather.compiled(_one_draw, model)
    codes = gather.gather(one_draw, variables, data.train, key_encode)["code"]
    sample = fit(codes, key_fit)
    decode = gather.compiled(_decoded, model)

    def draw(batch, keys):
        codes = jax.vmap(lambda one: sample(one, 1)[0])(keys)
        return decode(variables, {**batch, "code": codes}, keys)

    return draw


def _one_draw(model, variables, batch, key):
    return {"code": samplers.one_draw(model, variables, batch, key)}


def _from_prior(model, variables, batch, key):
    key_code, key_x = jax.random.split(key)
    likelihood = model.apply(variables, batch, method="generate", rngs={"latent": key_code})
    return _examples(likelihood, batch, key_x)


def _through(model, variables, batch, key, second):
    """Examples [B, *shape] decoded from latents that a second-stage model draws."""
    key_code, key_x = jax.random.split(key)
    drawn = second_stage.draws(second, variables["second"], batch, key_code)
    code = second_stage.latents(second.spec, model, variables["own"], drawn)
    return _decoded(model, variables["own"], {**batch, "code": code}, key_x)


def _decoded(model, variables, batch, key):
    return _examples(model.apply(variables, (batch["code"][None],), batch, method="decode"), batch, key)


def _examples(likelihood, batch, key):
    """Return samples [B, *shape] of a likelihood: its mean, or a draw from it.

    Means would be grey for binary data and for a mixture over levels, so these are drawn.
    """
    if isinstance(likelihood, LogisticMixture):
        return likelihood.sample(key, 1)[0, 0]
    binary = ((batch["x"] == 0) | (batch["x"] == 1)).all()
    return jax.lax.cond(binary, lambda: likelihood.sample(key, 1)[0, 0], lambda: likelihood.mean[0])
