"""Features of a model's samples and of real examples, by which the two are compared.

They are the `code` of any run, or a file made by any network elsewhere. Their name goes into the name of every score,
as distances by one network's features cannot be compared with those by another's.
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
from ae_jax.evaluation import comparable, gather, samplers

_SPLITS = ("samples", "test", "train")


@dataclasses.dataclass(frozen=True)
class Features:
    """Rows [N, F], as many of each: of the model's samples, of the split that was asked for, and of the training split,
    whose distance from the latter is the floor.
    """

    name: str
    digest: str  # of what made them
    rows: Mapping[str, np.ndarray]  # {"samples", "test", "train"}


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
    """What `score(rows [N, F], real rows [N, F])` -> {name: value} answers of samples, as NAME_FEATURES, and of
    training examples, as NAME_FEATURES_floor, each against as many of the split; N; and the features' digest.

    features: a run directory, or an .npz of "samples", "test" and "train".
    sampler: "prior", the model's own; or a file of ae_jax/evaluation/samplers, fitted to the codes of training data.
    neighbours: how many of its own kind an example needs at least.
    Raises UserError where they cannot be had.
    """
    if not features:
        raise UserError(
            f"metric {metric!r} compares features\nexpected evaluate.py --{metric}_features=RUN, or an .npz with "
            f"{', '.join(_SPLITS)}"
        )
    found = _stored(features) if features.endswith(".npz") else _of_run(features, model, variables, data, key, sampler)
    count = len(found.rows["test"])
    if count <= neighbours:
        raise UserError(f"metric {metric!r} has {count} examples of each kind\nexpected more than {neighbours}")
    answered: dict[str, float] = {}
    for suffix, rows in (("", found.rows["samples"]), ("_floor", found.rows["train"])):
        against = score(rows, found.rows["test"])
        named = lambda name, s=suffix: f"{name.removesuffix('_se')}_{found.name}{s}{'_se' * name.endswith('_se')}"
        answered |= {named(name): float(value) for name, value in against.items()}
    return {**answered, f"{metric}_examples": float(count), f"{metric}_features_digest": found.digest}


def _equal_in_number(rows: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    count = min(map(len, rows.values()))
    return {name: np.asarray(values[evenly(count, len(values))], np.float64) for name, values in rows.items()}


def _stored(file: str) -> Features:
    path = pathlib.Path(file)
    if not path.is_file():
        raise UserError(f"no file {file!r}\nexpected an .npz with {', '.join(_SPLITS)}, or a run directory")
    wanted = f"expected arrays [N, F] of finite numbers, F of all the same: {', '.join(_SPLITS)}"
    try:
        with path.open("rb") as stored, np.load(stored) as arrays:
            rows = {name: np.asarray(arrays[name], np.float64) for name in arrays if name in _SPLITS}
    except (*errors.DAMAGED, TypeError) as error:
        raise UserError(f"{file!r} cannot be read: {error}\n{wanted}") from None
    for name in _SPLITS:
        if name not in rows or rows[name].ndim != 2:
            raise UserError(f"{file!r} has no features {name!r}\n{wanted}")
        if rows[name].shape[1] != rows["samples"].shape[1] or not np.isfinite(rows[name]).all():
            raise UserError(f"{name!r} in {file!r} are {rows[name].shape}, or not all finite\n{wanted}")
    return Features(path.stem, hashlib.sha256(path.read_bytes()).hexdigest()[:12], _equal_in_number(rows))


def _of_run(workdir: str, model: Any, variables: Any, data: Any, key: Any, sampler: str) -> Features:
    """The codes that the run in `workdir` has for samples of the model and for its clean examples."""
    ((network, its_variables, _),) = comparable.opened(data, (workdir,), model.spec, model.spec.shape)
    key_draw, key_features, key_examples = jax.random.split(key, 3)
    draw = _sampler(model, variables, data, key_draw, sampler)
    codes = gather.compiled(_codes, network)

    of = lambda x, batch: codes(its_variables, {**batch, "x": x, "inputs": x}, key_features)
    both = lambda _, batch, key: {"samples": of(draw(batch, key), batch), "test": of(batch["x"], batch)}
    of_train = lambda _, batch, key: {"train": of(batch["x"], batch)}
    rows = gather.gather(both, variables, data.test, key_examples)
    train, _ = data.train.spread(len(rows["test"]))
    rows |= gather.gather(of_train, variables, train, key_examples)
    leaves = jax.tree.leaves(its_variables)
    digest = hashlib.sha256(b"".join(np.asarray(leaf).tobytes() for leaf in leaves)).hexdigest()[:12]
    return Features(pathlib.Path(workdir).name, digest, _equal_in_number(rows))


def _codes(network, variables, batch, key):
    return network.apply(variables, batch, rngs={"latent": key}).code


def _sampler(model, variables, data, key, sampler) -> Callable:
    """(batch, key) -> as many samples [B, *shape] as the batch has examples, and of its labels."""
    if model.adds_inputs:
        raise UserError("this model adds its inputs to what it decodes, and has no samples\ntry --metrics=psnr")
    if sampler == "prior":
        if not model.says("generate"):
            others = ", ".join(lookup.choices("samplers"))
            raise UserError(f"this model has no prior to draw samples from\nexpected a sampler, one of: {others}")
        draw = gather.compiled(_from_prior, model)
        return lambda batch, key: draw(variables, batch, key)
    key_encode, key_fit = jax.random.split(key)
    one_draw = gather.compiled(_one_draw, model)
    codes = gather.gather(one_draw, variables, data.train, key_encode)["code"]
    sample = lookup.find("samplers", sampler, "fit")(codes, key_fit)
    decode = gather.compiled(_decoded, model)
    return lambda batch, key: decode(variables, {**batch, "code": np.asarray(sample(key, len(batch["x"])))}, key)


def _one_draw(model, variables, batch, key):
    return {"code": samplers.one_draw(model, variables, batch, key)}


def _from_prior(model, variables, batch, key):
    key_code, key_x = jax.random.split(key)
    likelihood = model.apply(variables, batch, method="generate", rngs={"latent": key_code})
    return _examples(likelihood, batch, key_x)


def _decoded(model, variables, batch, key):
    return _examples(model.apply(variables, (batch["code"][None],), batch, method="decode"), batch, key)


def _examples(likelihood, batch, key):
    """Means [B, *shape]; draws, where the data are zeros and ones, or levels of a mixture, as means would be grey."""
    if isinstance(likelihood, LogisticMixture):
        return likelihood.sample(key, 1)[0, 0]
    binary = ((batch["x"] == 0) | (batch["x"] == 1)).all()
    return jax.lax.cond(binary, lambda: likelihood.sample(key, 1)[0, 0], lambda: likelihood.mean[0])
