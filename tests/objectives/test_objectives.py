"""Objectives against numpy, and what is made of their terms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats

from ae_jax.core import reduce
from ae_jax.core.distributions import Bernoulli, Normal, standard_normal
from ae_jax.core.errors import UserError
from ae_jax.core.types import Latent, Outputs
from ae_jax.evaluation import gather
from ae_jax.objectives.adversarial import adversarial
from ae_jax.objectives.elbo import elbo
from ae_jax.objectives.reconstruction import reconstruction
from ae_jax.objectives.sparsity import sparse, sparse_kl

S, B, D, SHAPE = 2, 5, 3, (2, 2, 1)
RNG = np.random.default_rng(0)
MASK = np.array([1, 1, 1, 0, 1], np.float32)
BITS = np.log(2)


def draw(*shape):
    return jnp.asarray(RNG.normal(size=shape), jnp.float32)


def latent(posterior=Normal, prior=None):
    # Dimensions of ever larger rate, so that bounds on it bind in some and not in others.
    q, p = posterior(draw(B, D) * jnp.array([[0.1, 0.5, 2.0]]), 0.1 * draw(B, D)), prior or standard_normal((D,))
    z = q.sample(jax.random.key(0), S)
    return Latent(z, q, p, q.log_prob(z), p.log_prob(z))


def example(*latents, penalties=None):
    batch = {"x": jnp.asarray(RNG.integers(0, 2, (B, *SHAPE)), jnp.float32), "mask": jnp.asarray(MASK)}
    latents = latents or (latent(), latent(prior=Normal(draw(B, D), draw(B, D))))
    return Outputs(Bernoulli(draw(S, B, *SHAPE), 3), latents, draw(B, D), penalties or {}), batch


def rates(outputs):
    """KL of every example and dimension [B, D], in float64, one array a layer."""
    for each in outputs.latents:
        q, p = each.posterior, each.prior
        parts = (q.loc, np.exp(q.log_scale), p.loc, np.exp(p.log_scale))
        q_loc, q_scale, p_loc, p_scale = (np.asarray(part, float) for part in parts)
        yield np.log(p_scale / q_scale) + (q_scale**2 + (q_loc - p_loc) ** 2) / (2 * p_scale**2) - 0.5


def test_elbo_by_hand():
    outputs, batch = example(penalties={"extra": jnp.arange(5.0)})
    terms = elbo(outputs, batch)
    probability = special.expit(np.asarray(outputs.likelihood.logits, float))
    log_p = stats.bernoulli.logpmf(batch["x"], probability).sum(axis=(2, 3, 4))
    np.testing.assert_allclose(terms.pop("reconstruction"), -log_p.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(terms.pop("kl"), sum(rate.sum(axis=1) for rate in rates(outputs)), rtol=1e-5)
    np.testing.assert_array_equal(terms.pop("extra"), np.arange(5))
    assert not terms


def test_kl_without_a_closed_form_is_the_mean_over_samples():
    class Unknown(Normal):
        pass

    outputs, batch = example(latent(posterior=Unknown))
    (layer,) = outputs.latents
    expected = stats.norm.logpdf(layer.sample, layer.posterior.loc, np.exp(layer.posterior.log_scale))
    expected = (expected - stats.norm.logpdf(layer.sample)).sum(axis=2).mean(axis=0)
    np.testing.assert_allclose(elbo(outputs, batch)["kl"], expected, rtol=1e-4, atol=1e-5)
    with pytest.raises(UserError, match="closed-form"):
        elbo(outputs, batch, free_bits=1.0)


@pytest.mark.parametrize("objective", [reconstruction, elbo])
def test_a_shuffled_batch_has_shuffled_terms(objective):
    order, (outputs, batch) = np.array([3, 0, 4, 2, 1]), example()
    per_example = lambda leaf: leaf[order] if leaf.shape[:1] == (B,) else leaf
    per_sample = lambda leaf: leaf[:, order] if leaf.shape[:2] == (S, B) else leaf
    shuffled = jax.tree.map(lambda leaf: per_sample(per_example(leaf)), (outputs, batch))
    for name, values in objective(*shuffled).items():
        np.testing.assert_array_equal(values, objective(outputs, batch)[name][order])


@pytest.mark.parametrize("bits", [0.0, 0.3, 5.0])
def test_free_bits_of_each_dimension_hold_for_its_mean_over_the_batch(bits):
    outputs, batch = example()
    means = np.concatenate([rate[MASK > 0].mean(axis=0) for rate in rates(outputs)])
    expected = np.maximum(means, bits * BITS).sum()
    assert bits != 0.3 or 0 < (means < bits * BITS).sum() < len(means)
    np.testing.assert_allclose(elbo(outputs, batch, free_bits=bits)["kl"], np.full(B, expected), rtol=1e-5)


def test_free_bits_on_the_sum_and_capacity_hold_for_each_example():
    outputs, batch = example()
    rate = sum(rate.sum(axis=1) for rate in rates(outputs))
    middle = np.median(rate)
    floored = elbo(outputs, batch, free_bits=middle / BITS, free_bits_on="sum")
    np.testing.assert_allclose(floored["kl"], np.maximum(rate, middle), rtol=1e-5)
    capacity = elbo(outputs, batch, capacity=middle)
    np.testing.assert_allclose(capacity["kl"], np.abs(rate - middle), rtol=1e-4, atol=1e-5)
    for terms in (floored, capacity, elbo(outputs, batch, free_bits=0.3)):
        # It stands beside what is minimised, and has no weight.
        np.testing.assert_allclose(terms["kl_unclamped"], rate, rtol=1e-5)
        weights = dict(reconstruction=1.0, kl=0.0)
        reduce.check_weights(terms, weights)
        np.testing.assert_array_equal(reduce.weighted_sum(terms, weights), terms["reconstruction"])


def test_sparsity_is_the_absolute_code_or_how_far_its_means_are_from_their_target():
    outputs, batch = example()
    np.testing.assert_allclose(sparse(outputs, batch)["sparsity"], np.abs(outputs.code).sum(axis=1), rtol=1e-6)
    activations = special.expit(np.asarray(outputs.code, float))
    nats = lambda rows: sum(stats.entropy([0.2, 0.8], [mean, 1 - mean]) for mean in rows.mean(axis=0))
    terms = lambda code, batch: sparse_kl(outputs.replace(code=jnp.asarray(code)), batch, target=0.2)
    for given, rows in ((batch, activations[MASK > 0]), ({"x": batch["x"]}, activations)):
        np.testing.assert_allclose(terms(activations, given)["sparsity"], np.full(B, nats(rows)), rtol=1e-5)
    assert np.isnan(
        terms(activations + 1, batch)["sparsity"]
    ).all()  # no mean of sigmoids: training ends, rather than going on without


def test_padding_has_no_part_in_the_statistics_of_a_batch():
    outputs, batch = example(latent())
    (layer,), padding = outputs.latents, jnp.asarray(1 - MASK)[:, None]
    moved = Normal(layer.posterior.loc + 9 * padding, layer.posterior.log_scale)
    other = outputs.replace(latents=(layer.replace(posterior=moved),))
    free_bits = lambda outputs: elbo(outputs, batch, free_bits=0.3)["kl"]
    np.testing.assert_array_equal(free_bits(outputs), free_bits(other))
    values = jnp.array([[1.0, 3.0, 2.0, 99.0, 6.0], [0.0, 0.0, 0.0, 99.0, 2.0]]).T
    np.testing.assert_array_equal(reduce.masked_mean(values, jnp.asarray(MASK)), [3, 0.5])
    assert reduce.masked_mean(values[:, 0], jnp.asarray(MASK)) == 3
    np.testing.assert_array_equal(reduce.masked_mean(values[:2]), [2, 0])


def test_mistakes_are_explained():
    outputs, batch = example(Latent(sample=draw(1, B, D)))
    with pytest.raises(UserError, match="deterministic.*\n.*objective.name=reconstruction"):
        elbo(outputs, batch)
    with pytest.raises(UserError, match="did you mean 'sum'"):
        elbo(*example(), free_bits=1.0, free_bits_on="sums")
    with pytest.raises(UserError, match="needs a model with a critic\n.*--config.model.name=aae"):
        adversarial(outputs, batch)
    with pytest.raises(UserError, match="unknown config key 'weights.lk'.*\n.*weights.kl, weights.reconstruction"):
        reduce.check_weights({"kl": 0, "reconstruction": 0}, {"lk": 1, "kl": 1, "reconstruction": 1})
    with pytest.raises(UserError, match="'kl' has no weight\nset weights.kl"):
        reduce.check_weights({"kl": 0, "reconstruction": 0}, {"reconstruction": 1})


def test_means_and_their_standard_errors_are_numpys():
    values, mask = RNG.normal(size=(3, 4)), np.array([[1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 0, 0]])
    batches = [{"x": jnp.asarray(x, jnp.float32), "mask": m} for x, m in zip(values, mask, strict=True)]

    def per_example(scale, variables, batch, key):
        return {"scaled": scale * batch["x"]}

    present, found = 2 * values[mask > 0], gather.mean_and_se(per_example, 2.0, {}, batches, jax.random.key(0))
    expected = {"scaled": present.mean(), "scaled_se": stats.sem(present)}
    assert found == pytest.approx(expected, rel=1e-5)
