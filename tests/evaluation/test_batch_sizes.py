"""--batch_size is the number of examples in a device call: no draw and no score depends on it."""

import functools
from types import SimpleNamespace

import jax
import numpy as np
import pytest

from ae_jax.core.types import DataSpec
from ae_jax.data import corruptions
from ae_jax.evaluation import reconstructed
from ae_jax.experiments import analysis, configuration, eval_data, experiment
from ae_jax.training.step import streams

SIZES = (7, 64, 500)
LIMIT = 80


@functools.cache
def built():
    """An untrained VAE of digits that are binarised anew, and corrupted, at each presentation."""
    config = configuration.load("configs/vae.py:smoke")
    config.unlock()
    config.data.binarize = "dynamic"
    config.corruption = {"name": "masking", "level": 0.3}
    config.model.latent_dim = 3
    found = experiment.build(config)
    return found, analysis.variables_of(found.init(jax.random.key(0)), "raw")


@functools.cache
def data_of(size):
    return eval_data.data_of(built()[0], batch_size=size, limit=LIMIT)


def examples(size, name):
    batches = list(data_of(size).test)
    return np.concatenate([np.asarray(batch[name])[np.asarray(batch["mask"]) > 0] for batch in batches])


@pytest.mark.parametrize("name", ["x", "inputs"])
def test_a_binarised_and_corrupted_evaluation_set_is_the_same_whatever_the_batch_size(name):
    first, *others = (examples(size, name) for size in SIZES)
    assert first.shape == (LIMIT, 8, 8, 1) and 0 < first.mean() < 1
    for other in others:
        np.testing.assert_array_equal(first, other)
    assert not np.array_equal(first[0], first[1])


def test_scores_are_the_same_whatever_the_batch_size():
    options = {"nll_samples": 3}
    first, *others = (
        analysis.evaluate(*built(), ["elbo", "nll", "mse"], data_of(size), options=options) for size in SIZES
    )
    assert {"elbo", "kl", "nll", "mse_per_pixel"} <= first.keys()
    for other in others:
        assert other == pytest.approx(first, rel=1e-5)


def test_pixel_errors_are_of_the_undequantised_pixels():
    """A perfect reconstruction of what the model sees has no error, whatever the noise was."""
    keys, x = streams(jax.random.key(0)), np.random.default_rng(0).integers(0, 5, (6, 8, 8, 1)).astype(np.float32) / 4
    spec = DataSpec((8, 8, 1), levels=5)
    prepare = corruptions.make_prepare(spec, dequantized=True)
    batch = prepare(keys, {"x": x}, {})
    assert np.abs(batch["x"] - x).max() > 0.05
    expected_noisy = (4 * x + 0.5) / 5  # the mean of (k + u) / 5 over the noise
    found, x_hat = reconstructed.pair(SimpleNamespace(spec=spec), batch, expected_noisy)
    np.testing.assert_array_equal(found, x)
    np.testing.assert_allclose(x_hat, x, atol=1e-6)
    np.testing.assert_array_equal(reconstructed.originals({"x": x}), x)
