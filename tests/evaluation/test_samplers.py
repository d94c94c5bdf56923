"""What a sampler draws has the moments of what it was fitted to."""

import jax
import numpy as np
import pytest

from ae_jax.core import lookup
from ae_jax.core.errors import UserError

KEY = jax.random.key(5)
N, DRAWS = 4000, 40000


def two_clusters():
    """Codes [N, 3]: a quarter around (4, 0, 0), correlated, the others around the origin; the last never varies."""
    generator = np.random.default_rng(0)
    codes = generator.normal(size=(N, 2)) @ np.array([[1.0, 0.8], [0.0, 0.6]])
    codes[: N // 4, 0] += 6
    return np.column_stack([codes, np.ones(N)]).astype(np.float32)


@pytest.mark.parametrize("name", ["gaussian", "mixture"])
def test_the_draws_have_the_codes_mean_and_covariance(name):
    codes = two_clusters()
    sample = lookup.find("samplers", name, "fit")(codes, KEY)
    draws = np.asarray(sample(KEY, DRAWS))
    assert draws.shape == (DRAWS, 3)
    errors = 4 * codes.std(axis=0) / np.sqrt(DRAWS) + 1e-3  # four standard errors
    assert (np.abs(draws.mean(axis=0) - codes.mean(axis=0)) < errors).all()
    np.testing.assert_allclose(np.cov(draws.T), np.cov(codes.T), atol=0.25)
    np.testing.assert_array_equal(draws, np.asarray(sample(KEY, DRAWS)))


def test_a_mixture_finds_the_clusters_that_one_normal_misses():
    codes = two_clusters()
    fit = lambda name: lookup.find("samplers", name, "fit")(codes, KEY)
    draws = {name: np.asarray(fit(name)(KEY, DRAWS)) for name in ("gaussian", "mixture")}
    gap = {name: ((2.5 < of[:, 0]) & (of[:, 0] < 3.5)).mean() for name, of in {**draws, "codes": codes}.items()}
    assert gap["mixture"] < 0.03 > gap["codes"] and gap["gaussian"] > 0.08


def test_too_few_codes_for_a_mixture():
    with pytest.raises(UserError, match="5 codes"):
        lookup.find("samplers", "mixture", "fit")(np.zeros((5, 2), np.float32), KEY)
