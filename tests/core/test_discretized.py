"""The discretised logistic mixture: its masses against scipy's logistic, their sums, its edges, samples and mean."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from ae_jax.core.discretized import LogisticMixture
from ae_jax.core.errors import UserError
from ae_jax.core.types import DataSpec
from ae_jax.models.likelihoods import discretized_logistic_mixture


def mixture(seed, channels, components, levels, batch=(), spread=1.0):
    draw = np.random.default_rng(seed).normal
    size = (*batch, 1, 1, channels, components)
    loc, log_scale = spread * draw(size=size), draw(size=size) - 2
    coefficients = np.tanh(draw(size=(*batch, 1, 1, channels * (channels - 1) // 2, components)))
    parameters = (draw(size=(*batch, 1, 1, components)), loc, log_scale, coefficients)
    return LogisticMixture(*(jnp.asarray(p, jnp.float32) for p in parameters), levels)


def all_values(channels, levels):
    """Every pixel of this many channels there is, [levels ** channels, 1, 1, channels]."""
    grid = itertools.product(np.arange(levels) / (levels - 1), repeat=channels)
    return jnp.asarray(list(grid), jnp.float32)[:, None, None]


def reference(p, pixels):
    """log p of pixels [N, C] in float64, by scipy's log_expit, the logistic's log F(t) and, at -t, log (1 - F(t))."""
    logits, loc, log_scale, coefficients = (np.asarray(leaf, float)[0, 0] for leaf in jax.tree.leaves(p))
    x, half = 2 * np.asarray(pixels, float)[..., None] - 1, 1 / (p.levels - 1)
    total, pairs = special.log_softmax(logits)[None], iter(coefficients)
    for c, value in enumerate(x.swapaxes(0, 1)):
        mean = loc[c] + sum(next(pairs) * x[:, j] for j in range(c))
        lower, upper = ((value + end - mean) / np.exp(log_scale[c]) for end in (-half, half))
        near, far = (special.log_expit(np.where(value < mean, *pair)) for pair in ((upper, -lower), (lower, -upper)))
        with np.errstate(divide="ignore"):  # at the ends, where it is not taken
            inside = near + np.log1p(-np.exp(far - near))  # on its own side of the median a difference is exact
        ends = [special.log_expit(upper), special.log_expit(-lower)]
        total = total + np.select([value < half - 1, value > 1 - half], ends, inside)
    return special.logsumexp(total, axis=1)


@pytest.mark.parametrize(("channels", "levels"), [(1, 256), (1, 2), (2, 17), (3, 4)])
def test_masses_are_scipys_and_sum_to_one(channels, levels):
    for seed, spread in ((0, 0.5), (1, 3.0)):
        p, values = mixture(seed, channels, 3, levels, spread=spread), all_values(channels, levels)
        log_p = jax.jit(p.log_prob)(values)
        np.testing.assert_allclose(special.logsumexp(np.asarray(log_p, float)), 0, atol=1e-4)
        np.testing.assert_allclose(log_p, reference(p, values[:, 0, 0]), rtol=1e-4, atol=1e-3)


def single(loc, log_scale):
    """One component for one grey pixel."""
    shaped = lambda value: jnp.reshape(value, (1, 1, 1, 1))
    return LogisticMixture(jnp.zeros((1, 1, 1)), shaped(loc), shaped(log_scale), jnp.zeros((1, 1, 0, 1)))


@jax.jit
def mass_and_gradients(loc, log_scale, level):
    log_p = lambda loc, log_scale: single(loc, log_scale).log_prob(jnp.full((1, 1, 1), level / 255))
    return jax.value_and_grad(log_p, (0, 1))(loc, log_scale)


@given(loc=st.floats(-100, 100, width=32), log_scale=st.floats(-7, 7, width=32), level=st.integers(0, 255))
def test_every_mass_is_exact_and_has_a_gradient_however_far_it_lies(loc, log_scale, level):
    found, gradients = mass_and_gradients(*map(np.float32, (loc, log_scale, level)))
    expected = reference(single(jnp.float32(loc), jnp.float32(log_scale)), [[np.float32(level) / np.float32(255)]])
    # Ends of a bin are rounded at 1e-7 of themselves, which the inverse scale multiplies.
    error = 3e-7 * max(1, abs(loc)) * np.exp(-log_scale)
    np.testing.assert_allclose(found, expected[0], rtol=1e-5, atol=1e-5 + error)
    assert all(map(np.isfinite, gradients))


def test_samples_are_levels_with_the_frequencies_of_the_masses(key):
    n, levels, p = 40_000, 4, mixture(2, 3, 2, 4)
    samples = np.asarray(jax.jit(lambda key: p.sample(key, n))(key))
    assert samples.shape == (n, 1, 1, 3) and samples.dtype == np.float32
    level = samples * (levels - 1)
    np.testing.assert_allclose(level, np.round(level), atol=1e-5)
    number = np.round(level).astype(int).reshape(n, 3) @ [levels**2, levels, 1]
    expected = np.exp(np.asarray(jax.jit(p.log_prob)(all_values(3, levels)), float))
    found = np.bincount(number, minlength=levels**3) / n
    assert (abs(found - expected) <= 5 * np.sqrt(expected * (1 - expected) / n) + 2 / n).all()


def test_the_mean_of_grey_pixels_is_theirs_within_half_a_level():
    for seed, levels in ((0, 256), (1, 256), (2, 17)):
        p, values = mixture(seed, 1, 3, levels), all_values(1, levels)
        expected = np.exp(reference(p, values[:, 0, 0])) @ np.asarray(values).ravel()
        np.testing.assert_allclose(jax.jit(lambda p: p.mean)(p), [[[expected]]], atol=0.5 / (levels - 1))


def test_the_mean_of_coloured_pixels_follows_the_channels_before():
    """Components so narrow that the mean is the pixel, its channels a chain."""
    loc, coefficients = [0.2, 0.1, -0.3], [0.5, -0.4, 0.8]
    shape = lambda values: jnp.asarray(values, jnp.float32)[None, None, :, None]
    p = LogisticMixture(jnp.zeros((1, 1, 1)), shape(loc), jnp.full((1, 1, 3, 1), -7.0), shape(coefficients))
    r = loc[0]
    g = loc[1] + coefficients[0] * r
    b = loc[2] + coefficients[1] * r + coefficients[2] * g
    np.testing.assert_allclose(jax.jit(lambda p: p.mean)(p)[0, 0], (np.array([r, g, b]) + 1) / 2, atol=1e-3)


@pytest.mark.parametrize(("channels", "numbers"), [(1, 30), (3, 100)])
def test_the_likelihood_takes_the_papers_number_of_outputs(channels, numbers, key):
    likelihood = discretized_logistic_mixture.Likelihood(DataSpec((5, 4, channels), levels=17))
    assert likelihood.output_shape == (5, 4, numbers)
    outputs = 20 * np.random.default_rng(0).normal(size=(2, 3, 5, 4, numbers))
    p = jax.jit(lambda outputs: likelihood.apply({}, outputs, {}))(outputs)
    assert p.levels == 17 and p.log_scale.min() == -7 and abs(p.coefficients).max(initial=0) <= 1
    x = np.zeros((1, 3, 5, 4, channels), np.float32)
    asked = jax.eval_shape(lambda: (p.mean, p.log_prob(x), p.sample(key, 7)))
    shape = (2, 3, 5, 4, channels)
    assert [leaf.shape for leaf in asked] == [shape, (2, 3), (7, *shape)]


@pytest.mark.parametrize(
    ("spec", "options", "message"),
    [
        (DataSpec((8, 8, 1), "reals"), {}, "not for reals of shape \\(8, 8, 1\\)\ntry model.likelihood=gaussian"),
        (DataSpec((64,)), {}, "not for pixels of shape \\(64,\\)"),
        (DataSpec((8, 8, 1)), {"mixtures": 0}, "model.mixtures is 0\nexpected a whole number"),
    ],
)
def test_what_it_is_not_for(spec, options, message):
    with pytest.raises(UserError, match=message):
        discretized_logistic_mixture.Likelihood(spec, **options)
