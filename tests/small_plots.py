"""Models with random parameters and random examples, small enough to draw every figure of."""

import functools

import jax
import numpy as np
import pytest

from ae_jax.core import lookup
from ae_jax.core.types import DataSpec
from ae_jax.data.batching import Batches
from ae_jax.evaluation.data import EvalData
from ae_jax.models.nets import mlp

N = 23  # not a multiple of the batch size: the last batch is padded
KEY = jax.random.key(7)
METRICS = [
    {"step": 10, "split": "train", "gradient_norm": 3.0, "kl": 1.0, "loss": 9.0},
    {"step": 20, "split": "train", "gradient_norm": 2.0, "kl": 2.0, "loss": 8.0},
    {"step": 20, "split": "validation", "elbo": -9.5, "kl": 2.5, "kl_se": 0.1},
]


@functools.cache
def made(family, shape=(8, 8, 1), latent_dim=2, classes=10, **options):
    """(model, variables, data): random parameters, random examples."""
    spec = DataSpec(shape, "pixels" if len(shape) == 3 else "reals", classes)
    generator = np.random.default_rng(0)
    x = (
        generator.integers(0, 256, (N, *shape), np.uint8)
        if spec.kind == "pixels"
        else generator.normal(size=(N, *shape))
    )
    arrays = {"x": x, **({"label": (np.arange(N) % classes).astype(np.int32)} if classes else {})}
    batches = Batches(arrays, spec, 10)
    nets = {"encoder": mlp.Encoder((16,)), "decoder": mlp.Decoder((16,))}
    model = lookup.find("models", family, "Model")(spec, **nets, latent_dim=latent_dim, **options)
    shapes = jax.eval_shape(model.init, {"params": KEY, "latent": KEY}, next(iter(batches)))
    # Far from zero, where examples would have the same code but for rounding; compiling an initialiser takes seconds.
    draw = lambda leaf: generator.normal(size=leaf.shape, scale=2 / np.sqrt(leaf.shape[0])).astype(np.float32)
    variables = jax.tree.map(draw, shapes)
    data = EvalData.of(
        train=batches, test=batches, corpus=batches, metrics=METRICS, open_run=pytest.fail, input_shape=shape
    )
    return model, variables, data


def arrays(name, family="vae", key=KEY, options=None, **of):
    return lookup.find("figures", name, "arrays")(*made(family, **of), key, **(options or {}))


@functools.cache
def encoded(family, **of):
    """(the last latent, the codes [N, D]) of all examples at once."""
    model, variables, data = made(family, **of)
    x = np.asarray(data.test.arrays["x"], np.float32) / 255
    batch, rngs = {**data.test.arrays, "x": x, "inputs": x, "mask": np.ones(N)}, {"latent": KEY}
    both = lambda v: (model.apply(v, batch, method="encode", rngs=rngs)[-1], model.apply(v, batch, rngs=rngs).code)
    return jax.device_get(jax.jit(both)(variables))


@functools.cache
def decoder(family, **of):
    model = made(family, **of)[0]
    return jax.jit(
        lambda variables, z, batch: model.apply(variables, (z[None, None],), batch, method="decode").mean[0, 0]
    )


def decoded(family, z, label=0, **of):
    """[*shape], the mean at one code."""
    return np.asarray(decoder(family, **of)(made(family, **of)[1], np.float32(z), {"label": np.array([label])}))


def close(value, expected):
    np.testing.assert_allclose(value, expected, rtol=1e-4, atol=1e-5)
