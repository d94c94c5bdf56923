"""Distributions against scipy, and laws that hold for all of them."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import integrate, special, stats

from ae_jax.core.distributions import (
    Bernoulli,
    Categorical,
    Laplace,
    Normal,
    NormalMixture,
    kl_per_dimension,
    softplus,
    standard_normal,
)
from ae_jax.core.errors import UserError


def arrays(bound: float, shape=(4, 3)):
    # XLA takes subnormal numbers for zeros.
    return hnp.arrays(np.float32, shape, elements=st.floats(-bound, bound, width=32, allow_subnormal=False))


@given(value=arrays(5, (2, 4, 3)), loc=arrays(3), log_scale=arrays(3))
def test_normal_is_scipys(value, loc, log_scale):
    p = Normal(jnp.array(loc), jnp.array(log_scale))
    expected = stats.norm.logpdf(value, loc, np.exp(log_scale.astype(float))).sum(-1)
    np.testing.assert_allclose(p.log_prob(value), expected, rtol=1e-5, atol=1e-4)


@given(value=arrays(5, (2, 4, 3)), loc=arrays(3), log_scale=arrays(2))
def test_laplace_is_scipys(value, loc, log_scale):
    expected = stats.laplace.logpdf(value, loc, np.exp(log_scale.astype(float))).sum(-1)
    found = Laplace(jnp.array(loc), jnp.array(log_scale)).log_prob(value)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-4)


@given(value=arrays(5, (2, 4, 3)), logits=arrays(5, 2), loc=arrays(3, (2, 3)), log_scale=arrays(1, (2, 3)))
def test_normal_mixture_is_the_sum_of_its_components(value, logits, loc, log_scale):
    densities = stats.norm.pdf(value[..., None, :], loc, np.exp(log_scale.astype(float))).prod(-1)
    found = NormalMixture(jnp.array(logits), jnp.array(loc), jnp.array(log_scale)).log_prob(value)
    np.testing.assert_allclose(found, np.log(densities @ special.softmax(logits.astype(float))), rtol=1e-4, atol=1e-4)


@given(value=hnp.arrays(np.bool_, (2, 4, 3)), logits=arrays(40))
def test_bernoulli_is_scipys(value, logits):
    p = Bernoulli(jnp.array(logits))
    sign = np.where(value, 1.0, -1.0)
    np.testing.assert_allclose(p.log_prob(value * 1.0), special.log_expit(sign * logits).sum(-1), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(p.mean, special.expit(logits.astype(float)), rtol=1e-5)


@given(logits=arrays(40, 3))
def test_bernoulli_masses_sum_to_one(logits):
    binary = jnp.array(list(itertools.product([0.0, 1.0], repeat=3)))
    np.testing.assert_allclose(jnp.exp(Bernoulli(jnp.array(logits)).log_prob(binary)).sum(), 1, rtol=1e-5)


@given(logits=arrays(40), value=hnp.arrays(np.float32, (4, 3), elements=st.floats(0, 1, width=32)))
def test_bernoulli_of_grey_levels_is_the_cross_entropy(logits, value):
    expected = value * special.log_expit(logits) + (1 - value) * special.log_expit(-logits)
    np.testing.assert_allclose(Bernoulli(jnp.array(logits)).log_prob(value), expected.sum(-1), rtol=1e-5, atol=1e-6)


@given(value=hnp.arrays(np.uint8, (2, 4, 3), elements=st.integers(0, 4)), logits=arrays(40, (4, 3, 5)))
def test_categorical_is_scipys(value, logits):
    log_p = special.log_softmax(logits.astype(float), axis=-1)
    expected = np.take_along_axis(np.broadcast_to(log_p, (2, 4, 3, 5)), value[..., None].astype(int), -1)[..., 0]
    for p in (Categorical(jnp.array(logits)), Categorical(jnp.array(logits)[None])):
        for dtype in (np.uint8, np.float32):
            np.testing.assert_allclose(p.log_prob(value.astype(dtype)), expected.sum(-1), rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(Categorical(jnp.array(logits)).mode, logits.argmax(-1))


@given(logits=arrays(40, (2, 3)))
def test_categorical_masses_sum_to_one(logits):
    values = jnp.array(list(itertools.product(range(3), repeat=2)))
    np.testing.assert_allclose(jnp.exp(Categorical(jnp.array(logits)).log_prob(values)).sum(), 1, rtol=1e-5)


def test_categorical_samples_have_the_frequencies_and_no_mean(key):
    logits = jnp.log(jnp.array([[0.1, 0.2, 0.7], [0.5, 0.5, 1e-30]]))
    samples = Categorical(logits).sample(key, 20_000)
    assert samples.shape == (20_000, 2) and samples.dtype == jnp.float32
    for column, p in zip(np.asarray(samples, int).T, ([0.1, 0.2, 0.7], [0.5, 0.5, 0.0])):
        found, standard_error = (
            np.bincount(column, minlength=3) / 20_000,
            np.sqrt(np.multiply(p, np.subtract(1, p)) / 2e4),
        )
        assert (abs(found - p) <= 4 * standard_error).all()
    np.testing.assert_array_equal(Categorical(logits).sample(key, 3), Categorical(logits).sample(key, 3))
    with pytest.raises(UserError, match="classes have no mean"):
        _ = Categorical(logits).mean


@pytest.mark.parametrize("value", [0, 2])
def test_categorical_gradient_is_the_class_minus_the_probabilities(value):
    logits = np.array([-100.0, 0.0, 100.0], np.float32)
    gradient = jax.grad(lambda x: Categorical(x, event_ndims=0).log_prob(jnp.float32(value)))(jnp.array(logits))
    np.testing.assert_allclose(gradient, np.eye(3)[value] - special.softmax(logits), atol=1e-6)


@given(arrays(80))
def test_softplus_is_exact(x):
    np.testing.assert_allclose(softplus(jnp.array(x)), np.logaddexp(0, x.astype(float)), rtol=1e-6)


def test_events_of_any_rank_are_summed_and_batches_kept():
    for ndims, expected in ((0, (2, 3, 4)), (1, (2, 3)), (3, ())):
        for p in (Normal(jnp.zeros((2, 3, 4)), jnp.zeros(()), ndims), Bernoulli(jnp.zeros((2, 3, 4)), ndims)):
            assert jax.eval_shape(p.log_prob, jnp.ones((5, 2, 3, 4))).shape == (5, *expected)
            assert jax.eval_shape(lambda key, p=p: p.sample(key, 7), jax.random.key(0)).shape == (7, 2, 3, 4)


# --- Kullback-Leibler -------------------------------------------------------------------------------------------------


@given(q=arrays(2, 2), p=arrays(2, 2))
def test_kl_is_the_integral(q, p):
    (q_loc, p_loc), (q_scale, p_scale) = (q[0], p[0]), np.exp([q[1], p[1]])
    ours, theirs = stats.norm(q_loc, q_scale), stats.norm(p_loc, p_scale)
    integrand = lambda x: ours.pdf(x) * (ours.logpdf(x) - theirs.logpdf(x))
    expected, _ = integrate.quad(integrand, q_loc - 12 * q_scale, q_loc + 12 * q_scale)
    q, p = (Normal(jnp.array(each[:1]), jnp.array(each[1:])) for each in (q, p))
    np.testing.assert_allclose(kl_per_dimension(q, p), [expected], rtol=1e-4, atol=1e-5)


def test_kl_is_the_mean_log_ratio_of_samples(key):
    draw = lambda i, shape: 0.7 * jax.random.normal(jax.random.fold_in(key, i), shape)
    q, p = Normal(draw(0, (4, 3)), draw(1, (4, 3))), Normal(draw(2, (3,)), draw(3, (3,)))
    z = q.sample(key, 20_000)
    ratios = np.asarray(q.log_prob(z) - p.log_prob(z))
    kl = kl_per_dimension(q, p).sum(-1)
    assert (np.abs(ratios.mean(0) - kl) < 4 * ratios.std(0) / np.sqrt(len(z))).all()


@given(q=arrays(3, (2, 4, 3)), p=arrays(3, (2, 3)))
def test_kl_is_nothing_to_itself_and_never_negative(q, p):
    q, p = Normal(*jnp.array(q)), Normal(*jnp.array(p))
    np.testing.assert_array_equal(kl_per_dimension(q, q), np.zeros((4, 3)))
    assert (kl_per_dimension(q, p) >= -1e-6).all()


@pytest.mark.parametrize("r", [1e-2, 1e-3, -1e-3])
def test_kl_is_exact_between_neighbours(r):
    q, p = Normal(jnp.zeros(1), jnp.full(1, r)), standard_normal((1,))
    np.testing.assert_allclose(kl_per_dimension(q, p), [np.expm1(2 * r) / 2 - r], rtol=1e-3)


def test_kl_without_a_closed_form_says_so():
    with pytest.raises(TypeError, match="Normal and Bernoulli"):
        kl_per_dimension(standard_normal((2,)), Bernoulli(jnp.zeros(2)))


# --- extremes and samples ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("logit", [-100.0, -40.0, -0.0, 0.0, 40.0, 100.0])
@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_bernoulli_gradient_is_value_minus_mean(logit, value):
    gradient = jax.grad(lambda x: Bernoulli(x, event_ndims=0).log_prob(np.float32(value)))(logit)
    np.testing.assert_allclose(gradient, value - special.expit(logit), atol=1e-6)


@pytest.mark.parametrize("log_scale", [-10.0, 10.0])
@pytest.mark.parametrize("value", [-1.0, 0.0, 1.0])
def test_normal_gradients_are_finite(log_scale, value):
    log_prob = lambda loc, log_scale: Normal(loc, log_scale, event_ndims=0).log_prob(np.float32(value))
    gradients = jax.grad(log_prob, argnums=(0, 1))(0.0, log_scale)
    standardised = value * np.exp(-log_scale)
    np.testing.assert_allclose(gradients, (standardised * np.exp(-log_scale), standardised**2 - 1), rtol=1e-5)
    for q, p in itertools.product(*[(Normal(value, log_scale, 0), Normal(0.0, -log_scale, 0))] * 2):
        assert all(jnp.isfinite(leaf) for leaf in jax.tree.leaves(jax.grad(kl_per_dimension, argnums=(0, 1))(q, p)))


PAIR = jnp.array([-1.0, 3.0]), jnp.array([-1.0, 1.0])
MOMENTS = {
    "normal": (Normal(*PAIR), PAIR[0], np.exp(2 * PAIR[1])),
    "laplace": (Laplace(*PAIR), PAIR[0], 2 * np.exp(2 * PAIR[1])),
    "bernoulli": (Bernoulli(PAIR[1]), special.expit(PAIR[1]), special.expit(PAIR[1]) * special.expit(-PAIR[1])),
    # Weights 1/4 and 3/4, locations 0 and 4: mean 3, variance 3 between the components and 1 within.
    "mixture": (
        NormalMixture(jnp.log(jnp.array([1.0, 3.0])), jnp.array([[0.0], [4.0]]), jnp.zeros((2, 1))),
        np.array([3]),
        np.array([4]),
    ),
}


@pytest.mark.parametrize("name", MOMENTS)
def test_samples_have_the_moments(name, key):
    p, mean, variance = MOMENTS[name]
    n, samples = 40_000, np.asarray(p.sample(key, 40_000), np.float64)
    np.testing.assert_allclose(p.mean, mean, rtol=1e-6)
    assert (np.abs(samples.mean(0) - mean) < 4 * np.sqrt(variance / n)).all()
    standard_error = np.square(samples - samples.mean(0)).std(0) / np.sqrt(n)
    assert (np.abs(samples.var(0) - variance) < 4 * standard_error).all()
    np.testing.assert_array_equal(p.sample(key, 3), p.sample(key, 3))
    assert not np.array_equal(p.sample(key, 30), p.sample(jax.random.key(1), 30))
