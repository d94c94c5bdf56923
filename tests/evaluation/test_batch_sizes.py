"""--batch_size is the number of examples in a device call: no draw and no score depends on it."""

import functools

import jax
import numpy as np
import pytest

from ae_jax.experiments import analysis, configuration, eval_data, experiment

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
