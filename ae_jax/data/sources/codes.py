"""The latents of a trained run, as the data of a second stage, which learns their prior."""

import dataclasses
import functools
import math
from typing import Any

import jax
import numpy as np

from ae_jax.core import errors
from ae_jax.core.errors import UserError
from ae_jax.core.types import DataSpec
from ae_jax.devices import mesh

DRAWS = ("sample", "mean", "indices")
# Without noise, the density of a number that never varies would grow without bound, and no other be learned beside it.
_NOISE = 0.02
_LEAST = 1e-3  # added to the deviation that latents are divided by


def load(
    path: str = "",
    draw: str = "",
    standardise: bool = False,
    layer: str = "",
    seed: int = 0,
    digest: str = "",
    *,
    open_run: Any,
) -> tuple[DataSpec, dict]:
    """Encode the examples of a run, and serve their latents with their splits and labels.

    Args:
      path: the directory of the run.
      draw: "sample", one draw from each posterior; "mean", its mean; "indices", the integers of a discrete latent. By
        default the first of indices, samples and means that the run's latent has.
      standardise: whether each number has mean 0 and deviation 1 over the training split; the spec keeps both.
      layer: the number of a layer of latents, 0 for the top one. By default the layer next to the data; where there are
        several, of these the code that the family itself gives, which is a mean.
      seed: the seed of what is drawn.
      digest: the digest of the run's parameters, filled in when training begins.
      open_run: the function that opens the run.

    Raises:
      UserError: there is no such run, its parameters have changed, or its latents are of another kind.
    """
    if not path:
        raise UserError("data.path names no run whose latents are the data\nset --config.data.path=RUN")
    parent = open_run(path)
    if digest and digest != parent.digest:
        raise UserError(
            f"data.path={path!r} has the parameters {parent.digest}, and this run's data were made by {digest}\n"
            "expected the run as it was then; else train this one anew, in another --workdir"
        )
    key_encode, key_noise = jax.random.split(jax.random.key(seed))
    draw = _draw_of(parent, path, draw, layer)
    encode = jax.jit(functools.partial(_encode, parent.model, draw, layer))
    splits = {}
    for number, (name, arrays) in enumerate(parent.splits.items()):
        latents = _latents(parent, name, encode, jax.random.fold_in(key_encode, number))
        splits[name] = {"x": latents, **{key: arrays[key] for key in ("label", "factors") if key in arrays}}
    spec = _spec_of(parent, latents, draw)
    dtype = np.float32 if spec.kind == "reals" else np.min_scalar_type(spec.levels - 1)
    for side in splits.values():
        side["x"] = side["x"].reshape(-1, *spec.shape).astype(dtype)
    if standardise:
        spec = _standardise(spec, splits, key_noise)
    return spec, splits


def _draw_of(parent: Any, path: str, draw: str, layer: str) -> str:
    """Return what is served of the latents.

    Raise UserError where the run's model has no such latents.
    """
    if parent.data.input_shape != parent.spec.shape:
        raise UserError(
            f"the model of {path!r} reads inputs {parent.data.input_shape}, and its examples are {parent.spec.shape}\n"
            "expected a run whose model encodes whole examples"
        )
    encode = functools.partial(_encoded, parent.model)
    latents = jax.eval_shape(encode, parent.variables, next(iter(parent.uncorrupted("train"))), jax.random.key(0))
    if not latents:
        raise UserError(f"the model of {path!r} has no latents\nexpected a run such as configs/vae.py trains")
    if layer and not (layer.isdecimal() and int(layer) < len(latents)):
        expected = f"a number from 0 to {len(latents) - 1}" if len(latents) > 1 else "none, as there is one layer"
        raise UserError(f"data.layer={layer!r} of the latents of {path!r}\nexpected {expected}")
    if draw and draw not in DRAWS:
        raise errors.unknown("data.draw", draw, DRAWS)
    if len(latents) > 1 and not layer:
        if draw not in ("", "mean"):
            raise UserError(f"data.draw={draw!r} of {len(latents)} layers of latents\nset --config.data.layer=NUMBER")
        return "mean"
    latent = latents[int(layer or -1)]
    there = {"indices": latent.indices is not None, "sample": latent.posterior is not None, "mean": True}
    if draw == "indices" and not there[draw]:
        raise UserError("data.draw='indices' of a latent that is not discrete\nuse sample or mean")
    return draw or next(name for name in there if there[name])


def _encoded(model: Any, variables: Any, batch: Any, key: Any) -> Any:
    return model.apply(variables, batch, method="encode", rngs={"latent": key})


def _encode(model: Any, draw: str, layer: str, variables: Any, batch: Any, key: Any) -> Any:
    """Return one latent for each example, [B, ...]."""
    batch = mesh.shard(batch)
    if draw == "mean" and not layer:
        return mesh.replicate(model.apply(variables, batch, rngs={"latent": key}).code)
    latent = _encoded(model, variables, batch, key)[int(layer or -1)]
    if draw == "indices":
        return mesh.replicate(latent.indices[0])
    is_mean = draw == "mean" and latent.posterior is not None
    # A posterior has an axis of samples where it depends on another layer. Here that is of length one.
    return mesh.replicate((latent.posterior.mean if is_mean else latent.sample).reshape(latent.sample.shape[1:]))


def _latents(parent: Any, split: str, encode: Any, key: Any) -> np.ndarray:
    """Return the latents [N, ...] of a split."""
    parts = []
    for number, batch in enumerate(parent.uncorrupted(split)):
        latents = np.asarray(encode(parent.variables, batch, jax.random.fold_in(key, number)))
        parts.append(latents[np.asarray(batch["mask"]) > 0])
    return np.concatenate(parts)


def _spec_of(parent: Any, x: np.ndarray, draw: str) -> DataSpec:
    """Describe the latents x [N, ...]: as the family says, or else as vectors of reals."""
    described, size = parent.model.code_spec, math.prod(x.shape[1:])
    if draw == "indices":
        if described is None or described.kind != "tokens":
            raise UserError("the model has a discrete latent, and its code_spec is not of tokens\nuse data.draw=sample")
        spec = DataSpec(x.shape[1:], "tokens", levels=described.levels)
    elif described is not None and described.kind == "reals" and math.prod(described.shape) == size:
        spec = DataSpec(described.shape, "reals")
    else:
        spec = DataSpec((size,), "reals")
    own = parent.spec
    return dataclasses.replace(spec, classes=own.classes, names=own.names, label_dim=own.label_dim)


def _standardise(spec: DataSpec, splits: dict, key: Any) -> DataSpec:
    """Standardise the latents of all splits in place.

    Return the spec with the statistics of the training split.
    """
    if spec.kind != "reals":
        raise UserError(f"data.standardise of {spec.kind}\nleave it out: integers that name entries have no mean")
    train = splits["train"]["x"]
    axes = tuple(range(train.ndim - 1))
    # In float64, because latents may lie far from zero.
    mean, deviation = train.mean(axis=axes, dtype=np.float64), train.std(axis=axes, dtype=np.float64) + _LEAST
    for number, side in enumerate(splits.values()):
        noise = np.asarray(jax.random.normal(jax.random.fold_in(key, number), side["x"].shape))
        side["x"] = ((side["x"] - mean) / deviation + _NOISE * noise).astype(np.float32)
    return dataclasses.replace(spec, mean=tuple(map(float, mean)), deviation=tuple(map(float, deviation)))
