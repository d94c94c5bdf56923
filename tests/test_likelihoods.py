"""Likelihoods and posteriors: the scales of a Gaussian, fixed, learned and optimal."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ae_jax.distributions import Normal
from ae_jax.errors import UserError
from ae_jax.likelihoods import bernoulli, gaussian
from ae_jax.posteriors import diagonal_normal
from ae_jax.types import DataSpec

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
