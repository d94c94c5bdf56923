"""Likelihoods, posteriors and priors: the scales of a Gaussian, fixed, learned and optimal; what a mixture learns."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats

from ae_jax.core.distributions import Normal
from ae_jax.core.errors import UserError
from ae_jax.core.types import DataSpec
from ae_jax.models import hierarchical, vae
from ae_jax.models.likelihoods import bernoulli, gaussian
from ae_jax.models.posteriors import diagonal_normal
from ae_jax.models.priors import mixture, vamp
from ae_jax.objectives.importance_weighted import dreg, iwae, piwae
from ae_jax.training import players

S, B, SHAPE = 2, 4, (3, 3, 1)
SPEC = DataSpec(SHAPE)
RNG = np.random.default_rng(0)
FLOOR = 1e-3


def example():
    outputs, x = (jnp.asarray(RNG.normal(size=shape), jnp.float32) for shape in ((S, B, *SHAPE), (B, *SHAPE)))
    return outputs, {"x": x, "mask": jnp.array([1.0, 1.0, 0.0, 1.0])}


@pytest.mark.parametrize("scale", [1.0, 0.1, 2])
def test_fixed_scale(scale):
    p, _ = gaussian.Likelihood(SPEC, scale).init_with_output(jax.random.key(0), *example())
    np.testing.assert_allclose(np.exp(p.log_scale), scale, rtol=1e-6)
    assert p.event_ndims == 3 and p.log_prob(jnp.zeros((1, B, *SHAPE))).shape == (S, B)
    assert not gaussian.Likelihood(SPEC, scale).needs_dequantised


def test_learned_scale_starts_at_one_and_has_a_gradient_at_its_floor():
    likelihood, (outputs, batch) = gaussian.Likelihood(SPEC, "learned", floor=FLOOR), example()
    scale = lambda parameter: jnp.exp(likelihood.apply({"params": {"log_scale": parameter}}, outputs, batch).log_scale)
    for parameter in (-100.0, -7.0, 0.0, 3.0):
        np.testing.assert_allclose(scale(parameter), FLOOR + np.exp(parameter), rtol=1e-5)
    np.testing.assert_allclose(jax.grad(scale)(np.log(FLOOR)), FLOOR, rtol=1e-3)
    variables = likelihood.init(jax.random.key(0), outputs, batch)
    assert variables == {"params": {"log_scale": 0}}


def rmse(outputs, batch):
    present = np.asarray(batch["mask"]) > 0
    return np.sqrt(np.square(np.asarray(outputs - batch["x"][None], float)[:, present]).mean())


def test_optimal_scale_is_the_error_of_the_batch_in_training_and_its_running_mean_outside():
    likelihood, batches = gaussian.Likelihood(SPEC, "optimal", floor=FLOOR), [example() for _ in range(3)]
    variables = likelihood.init(jax.random.key(0), *batches[0])
    np.testing.assert_allclose(likelihood.apply(variables, *batches[0]).log_scale, 0, atol=1e-5)  # knows nothing yet
    for outputs, batch in batches:
        p, variables = likelihood.apply(variables, outputs, batch, train=True, mutable=["statistics"])
        np.testing.assert_allclose(np.exp(p.log_scale), rmse(outputs, batch), rtol=1e-4)
    errors = np.square([rmse(*each) for each in batches])
    expected = np.sqrt(np.average(errors, weights=0.99 ** np.arange(3)[::-1]))
    for outputs, batch in batches:
        np.testing.assert_allclose(np.exp(likelihood.apply(variables, outputs, batch).log_scale), expected, rtol=1e-4)


def test_optimal_scale_has_a_floor_where_the_error_is_nothing():
    likelihood, (outputs, batch) = gaussian.Likelihood(SPEC, "optimal", floor=FLOOR), example()
    variables = likelihood.init(jax.random.key(0), outputs, batch)

    def loss(outputs):
        p, _ = likelihood.apply(variables, outputs, batch, train=True, mutable=["statistics"])
        return -p.log_prob(batch["x"][None]).mean(), p.log_scale

    gradient, log_scale = jax.grad(loss, has_aux=True)(batch["x"][None])
    np.testing.assert_allclose(np.exp(log_scale), FLOOR, rtol=1e-4)
    assert jnp.isfinite(gradient).all()


def test_where_the_density_could_grow_without_bound_pixels_are_dequantised():
    needs = {scale: gaussian.Likelihood(SPEC, scale).needs_dequantised for scale in (0.5, "learned", "optimal")}
    assert needs == {0.5: False, "learned": True, "optimal": True}
    assert not bernoulli.Likelihood(SPEC).needs_dequantised


@pytest.mark.parametrize("scale", [0, -1.0, "optimum", None])
def test_no_such_scale(scale):
    with pytest.raises(UserError, match="model.scale is .*\nexpected a positive number, 'learned' or 'optimal'"):
        gaussian.Likelihood(SPEC, scale)


@pytest.mark.parametrize("shared", [False, True])
def test_diagonal_posterior(shared, key):
    posterior, features = diagonal_normal.Posterior(3, shared_scale=shared), jnp.asarray(RNG.normal(size=(B, 5)))
    q, variables = posterior.init_with_output(key, features)
    assert type(q) is Normal and q.loc.shape == q.log_scale.shape == (B, 3)
    mean = variables["params"]["z_mean"]
    np.testing.assert_allclose(q.loc, features @ mean["kernel"] + mean["bias"][None], rtol=1e-5, atol=1e-6)
    assert (np.ptp(q.log_scale, axis=0) == 0).all() == shared


def test_centred_logits_start_at_those_of_the_mean_example():
    """The mean of all training examples where batch["mean"] has it, else that of the first batch."""
    likelihood, x = bernoulli.Likelihood(SPEC, centred=True), jnp.asarray(RNG.random((B, *SHAPE)), jnp.float32)
    for batch, mean in (({"x": x}, x.mean(axis=0)), ({"x": x, "mean": 0 * x + 0.3}, np.full(SHAPE, 0.3))):
        p, variables = likelihood.init_with_output(jax.random.key(0), jnp.zeros((S, B, *SHAPE)), batch)
        np.testing.assert_allclose(p.mean, np.broadcast_to(mean, (S, B, *SHAPE)), rtol=1e-5)
        assert variables.keys() == {"statistics"}  # the biases that are learned are the decoder's
        again = likelihood.apply(variables, jnp.ones((S, B, *SHAPE)), {})
        np.testing.assert_allclose(again.logits - p.logits, 1, rtol=1e-5)
    black = likelihood.init_with_output(jax.random.key(0), jnp.zeros((S, B, *SHAPE)), {"x": 0 * x})[0]
    np.testing.assert_allclose(black.mean, 1e-3, rtol=1e-4)


def test_the_mixture_prior_learns_weights_means_and_scales(key):
    prior, z = mixture.Prior(2, components=3), jnp.asarray(RNG.normal(size=(S, B, 2)), jnp.float32)
    p, variables = prior.init_with_output(key)
    parts = [stats.norm.logpdf(z, np.asarray(loc)).sum(axis=-1) for loc in p.loc]
    np.testing.assert_allclose(p.log_prob(z), special.logsumexp(parts, axis=0) - np.log(3), rtol=1e-4)
    gradient = jax.grad(lambda variables: prior.apply(variables).log_prob(z).sum())(variables)
    assert all((leaf != 0).all() for leaf in jax.tree.leaves(gradient))


def test_the_vamp_prior_is_the_mixture_of_the_posteriors_of_its_inputs(key):
    model, batch = vae.Model(SPEC, prior=lambda size: vamp.Prior(size, components=3)), {"x": jnp.ones((B, *SHAPE))}
    batch |= {"inputs": batch["x"], "mask": jnp.ones(B)}
    outputs, variables = model.init_with_output({"params": key, "latent": key}, batch, num_samples=S)
    (latent,), inputs = outputs.latents, variables["params"]["p_z"]["inputs"]
    assert inputs.shape == (3, *SHAPE) and 0 < inputs.min() < inputs.max() < 1
    q = model.apply(variables, {"inputs": inputs}, 1, method="infer", rngs={"latent": key}).posterior
    parts = [stats.norm.logpdf(latent.sample, loc, np.exp(scale)).sum(-1) for loc, scale in zip(q.loc, q.log_scale)]
    np.testing.assert_allclose(latent.log_p, special.logsumexp(parts, axis=0) - np.log(3), rtol=1e-4)
    assert iwae(outputs, batch)["bound"].shape == (B,)
    for objective in (piwae, dreg):
        with pytest.raises(UserError, match="model.prior"):
            players.check(players.by_player(objective(outputs, batch)), model)
    with pytest.raises(UserError, match="plain VAE"):
        hierarchical.Model(SPEC, prior=vamp.Prior).init({"params": key, "latent": key}, batch)


def test_min_log_scale_bounds_the_scales_of_the_posterior_and_of_the_likelihood(key):
    features = jax.random.normal(key, (8, 4)) * 10
    free, bounded = (diagonal_normal.Posterior(3, min_log_scale=low) for low in (-math.inf, -1.0))
    variables = free.init(key, features)
    scales = [module.apply(variables, features).log_scale for module in (free, bounded)]
    np.testing.assert_array_equal(scales[1], np.maximum(scales[0], -1))
    assert scales[0].min() < -1
    likelihood = gaussian.Likelihood(DataSpec((4,), "reals"), scale=1e-3, min_log_scale=-2.0)
    assert likelihood.apply({}, features[None], {}).log_scale == -2
