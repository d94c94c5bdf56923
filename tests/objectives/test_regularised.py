"""Objectives that shape the aggregate posterior, against quadrature, brute force, NumPy and closed forms."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats

from ae_jax.core import mmd
from ae_jax.core.distributions import Bernoulli, Normal, standard_normal
from ae_jax.core.errors import UserError
from ae_jax.core.types import Latent, Outputs
from ae_jax.objectives import covariance, discrepancy
from ae_jax.objectives import total_correlation as tc

# Five posteriors N(mean, 0.25 I), for which quadrature gives the parts of the KL divergence.
MEANS = np.array([[-1, -1], [1, 1], [-1, 1], [0, 0], [1, 0.5]], np.float32)
PARTS = {"mutual_information": 1.052506, "total_correlation": 0.143117, "dimension_wise": 0.165672}
SHIFT = np.array([0.5, -0.3], np.float32)


def example(mean, scale, samples=1, masked=0):
    """Outputs and batch of posteriors N(mean, scale^2) under N(0, I), with padding at the end."""
    mean = np.concatenate([mean, np.full((masked, mean.shape[1]), 9.0, np.float32)])
    q, p = Normal(jnp.asarray(mean), jnp.log(jnp.full(mean.shape, scale))), standard_normal((mean.shape[1],))
    z = q.sample(jax.random.key(0), samples)
    latent = Latent(z, q, p, q.log_prob(z), p.log_prob(z))
    count = len(mean) - masked
    x = jnp.zeros((len(mean), 3))
    mask = (jnp.arange(len(mean)) < count).astype(jnp.float32)
    batch = {"x": x, "mask": mask, "num_examples": jnp.full(len(mean), count, jnp.float32)}
    return Outputs(Bernoulli(jnp.zeros((samples, len(mean), 3))), (latent,), jnp.asarray(mean)), batch


def test_the_parts_of_the_kl_are_those_of_quadrature():
    outputs, batch = example(MEANS, 0.5, samples=20_000)
    terms = tc.beta_tc(outputs, batch, estimator="symmetric")
    for name, nats in PARTS.items():
        # The standard error of the mean of 100,000 draws is below 0.004.
        assert terms[name].mean() == pytest.approx(nats, abs=0.012), name
    total = sum(terms[name] for name in PARTS)
    latent = outputs.latents[0]
    np.testing.assert_allclose(total, (latent.log_q - latent.log_p).mean(axis=0), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("masked", [0, 3])
def test_a_full_batch_gives_the_mixture_of_all_posteriors(masked):
    outputs, batch = example(MEANS, 0.5, samples=2, masked=masked)
    weights = tc.log_importance_weights("symmetric", batch["mask"], batch["num_examples"][0])
    joint, factors = tc.log_aggregate(outputs.latents[0].sample, outputs.latents[0].posterior, weights)
    z = np.asarray(outputs.latents[0].sample, float)[:, :5]
    density = stats.norm.logpdf(z[:, :, None], MEANS[None, None], 0.5)  # [S, i, j, D]
    np.testing.assert_allclose(joint[:, :5], special.logsumexp(density.sum(3), axis=2) - np.log(5), rtol=1e-4)
    np.testing.assert_allclose(factors[:, :5], (special.logsumexp(density, axis=2) - np.log(5)).sum(2), rtol=1e-4)


def test_the_weights_of_each_estimator():
    mask, n = jnp.array([1.0, 1, 1, 1, 0]), jnp.float32(10)
    own, other, rest = 1 / 10, (10 - 3) / (10 * 3), 1 / 3
    expected = {
        "weighted": np.full((4, 4), 1 / 40),
        "symmetric": np.where(np.eye(4), own, 9 / 30),
        "stratified": np.where(np.eye(4), own, np.where(np.roll(np.eye(4), 1, axis=1), other, rest)),
        # Columns 0 and 1 instead of the diagonal and its neighbour; the last row as the authors' program leaves it.
        "mss_as_published": np.array([[own, other, rest, rest]] * 3 + [[other, rest, rest, rest]]),
    }
    for name, weights in expected.items():
        found = np.exp(tc.log_importance_weights(name, mask, n))
        np.testing.assert_allclose(found[:4, :4], weights, rtol=1e-5, err_msg=name)
        assert not found[:, 4].any()
        if name != "weighted":
            np.testing.assert_allclose(found[:3].sum(axis=1), 1, rtol=1e-5)


def test_dip_penalises_the_covariance_of_numpy():
    mean = np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)
    outputs, batch = example(mean, 0.5, masked=2)
    for kind, extra in (("i", 0), ("ii", 0.25)):
        expected = np.cov(mean.T, ddof=0) + extra * np.eye(3)
        terms = covariance.dip(outputs, batch, kind=kind)
        diagonal = np.diag(expected)
        np.testing.assert_allclose(terms["diagonal"], np.square(diagonal - 1).sum(), rtol=1e-4)
        np.testing.assert_allclose(terms["off_diagonal"], np.square(expected - np.diag(diagonal)).sum(), rtol=1e-4)


def test_mmd_has_the_mean_of_its_closed_form():
    # q = N((0.5, -0.3), I / 4) and p = N(0, I), with the kernel exp(-d^2 / 2): Gretton's integral is closed.
    key_q, key_p = jax.random.split(jax.random.key(0))
    q = SHIFT[None, None] + 0.5 * jax.random.normal(key_q, (4000, 20, 2))
    p = jax.random.normal(key_p, (4000, 20, 2))
    estimate = jax.vmap(functools.partial(mmd.mmd2, kernel=mmd.gaussian))(q, p)
    assert float(estimate.mean()) == pytest.approx(0.175797, abs=4 * float(estimate.std()) / np.sqrt(4000))
    biased = jax.vmap(functools.partial(mmd.mmd2, kernel=mmd.gaussian, unbiased=False))(q, p)
    assert biased.mean() == pytest.approx(0.2250, abs=0.004) and biased.min() >= 0
    null = jax.vmap(functools.partial(mmd.mmd2, kernel=mmd.gaussian))(p, jax.random.normal(key_q, p.shape))
    assert (null < 0).mean() == pytest.approx(0.59, abs=0.03)
    # Padding changes nothing.
    padded = [jnp.concatenate([x[0], jnp.full((3, 2), 7.0)]) for x in (q, p)]
    masked = mmd.mmd2(*padded, mmd.gaussian, (jnp.arange(23) < 20).astype(jnp.float32))
    assert masked == pytest.approx(float(estimate[0]), abs=1e-5)


def test_the_inverse_multiquadratic_kernel_sums_seven_scales():
    squares = np.array([[0.0, 2.0]], np.float32)
    scales = 2 * 3 * np.array([0.1, 0.2, 0.5, 1, 2, 5, 10])
    expected = [[7, (scales / (scales + 2)).sum()]]
    np.testing.assert_allclose(mmd.inverse_multiquadratic(squares, 3), expected, rtol=1e-5)


def test_sliced_wasserstein_of_a_shift_is_the_mean_square_of_its_projections():
    key_rows, key_order, key_directions = jax.random.split(jax.random.key(0), 3)
    rows = jax.random.normal(key_rows, (30, 2))
    shifted = jax.random.permutation(key_order, rows + SHIFT[None])
    directions = jax.random.normal(key_directions, (2, 20_000))
    directions /= jnp.linalg.norm(directions, axis=0)[None]
    found = discrepancy.sliced_wasserstein2(rows @ directions, shifted @ directions)
    assert found == pytest.approx(float(np.square(SHIFT @ np.asarray(directions)).mean()), rel=1e-4)
    assert found == pytest.approx(0.17, abs=0.01)  # |shift|^2 / 2
    padding = jnp.full((4, 20_000), 5.0)
    mask = (jnp.arange(34) < 30).astype(jnp.float32)
    padded = [jnp.concatenate([x @ directions, padding]) for x in (rows, shifted)]
    assert discrepancy.sliced_wasserstein2(*padded, mask) == pytest.approx(float(found), rel=1e-4)


def test_mistakes_are_named():
    outputs, batch = example(MEANS, 0.5)
    with pytest.raises(UserError, match="estimator"):
        tc.beta_tc(outputs, batch, estimator="exact")
    with pytest.raises(UserError, match="kind"):
        covariance.dip(outputs, batch, kind="iii")
    with pytest.raises(UserError, match="kernel"):
        discrepancy.info(outputs, batch, key=jax.random.key(0), kernel="linear")
    plain = outputs.replace(latents=(Latent(outputs.latents[0].sample),))
    for objective in (tc.beta_tc, covariance.dip, functools.partial(discrepancy.wae_mmd, key=jax.random.key(0))):
        with pytest.raises(UserError, match="model\\."):
            objective(plain, batch)
