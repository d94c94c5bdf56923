"""Flows: log-determinants by autodiff, inverses, densities that integrate to one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ae_jax import experiment, lookup
from ae_jax.distributions import Normal
from ae_jax.errors import UserError
from ae_jax.flows import Autoregressive, Planar, Transformed
from configs import iwae

KEY = jax.random.key(0)


def planar(size, batch=(), seed=0, scale=1.5):
    draw = np.random.default_rng(seed).normal
    return Planar(*(jnp.asarray(scale * draw(size=(*batch, n)), jnp.float32) for n in (size, size, 1)))


def autoregressive(size, batch=(), seed=0, hidden=7):
    draw = np.random.default_rng(seed).normal
    shapes = ((*batch, hidden), (*batch, 2 * size), (size, hidden), (hidden, 2 * size))
    return Autoregressive(*(jnp.asarray(draw(size=shape), jnp.float32) for shape in shapes))


FLOWS = pytest.mark.parametrize("make", [planar, autoregressive])


@FLOWS
@pytest.mark.parametrize("size", [1, 2, 5])
@pytest.mark.parametrize("seed", [0, 1])
def test_log_determinant_and_inverse(make, size, seed):
    flow, z = make(size, seed=seed), 2 * jax.random.normal(jax.random.key(seed), (6, size))
    y, log_determinant = flow(z)
    jacobians = jax.vmap(jax.jacobian(lambda z: flow(z)[0]))(z)
    sign, expected = np.linalg.slogdet(np.asarray(jacobians, float))
    np.testing.assert_allclose(log_determinant, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(flow.inverse(y), z, rtol=1e-3, atol=1e-3)
    inverse = jax.vmap(jax.jacobian(flow.inverse))(y)
    np.testing.assert_allclose(inverse @ jacobians, np.tile(np.eye(size), (6, 1, 1)), atol=1e-2)


def test_what_is_autoregressive_is_triangular():
    size = 4
    jacobian = jax.jacobian(lambda z: autoregressive(size)(z)[0][::-1])(jnp.ones(size))
    np.testing.assert_array_equal(jnp.triu(jacobian, 1), 0)
    assert (jnp.tril(jacobian) != 0).sum() == size * (size + 1) // 2


@FLOWS
def test_each_example_has_its_own_flow(make):
    flow, z = make(3, batch=(4,)), jax.random.normal(KEY, (5, 4, 3))
    y, log_determinant = flow(z)
    for n in range(4):
        batched = {"u", "w", "b", "context", "bias"}
        alone = flow.replace(**{name: value[n] for name, value in vars(flow).items() if name in batched})
        one_y, one_log_determinant = alone(z[:, n])
        np.testing.assert_allclose(y[:, n], one_y, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(log_determinant[:, n], one_log_determinant, rtol=1e-4, atol=1e-5)


@FLOWS
@pytest.mark.parametrize("size", [1, 2])
def test_densities_integrate_to_one_and_are_those_of_the_samples(make, size):
    base = Normal(0.3 * jnp.ones(size), jnp.full(size, -0.2))
    q = Transformed(base, (make(size, seed=1), make(size, seed=2)))
    axis = np.linspace(-12, 12, 4001 if size == 1 else 401)
    grid = np.stack(np.meshgrid(*[axis] * size), axis=-1).reshape(-1, size).astype(np.float32)
    mass = np.exp(np.asarray(q.log_prob(jnp.asarray(grid)), float)).sum() * (axis[1] - axis[0]) ** size
    assert mass == pytest.approx(1, abs=5e-3)
    z, log_q = q.sample_and_log_prob(KEY, 200)
    np.testing.assert_allclose(q.log_prob(z), log_q, rtol=1e-2, atol=2e-2)
    np.testing.assert_array_equal(q.sample(KEY, 200), z)


@pytest.mark.parametrize("posterior", ["planar", "iaf"])
def test_a_config_chooses_them(posterior):
    for objective in ("dreg", "elbo"):
        config = iwae.get_config(f"smoke,k=2,objective={objective}")
        config.model.update(posterior=posterior, flows=2, latent_dim=3)
        built = experiment.build(config)
        built.check()
    data = {"test": built.held_out(built.splits["test"], 8)}
    batch = next(iter(data["test"]))
    made = jax.jit(lambda key: built.model.init_with_output({"params": key, "latent": key}, batch, num_samples=2))
    outputs, variables = made(KEY)
    (latent,) = outputs.latents
    assert latent.sample.shape == (2, 8, 3) and outputs.code.shape == (8, 3)
    np.testing.assert_allclose(latent.log_q_path, latent.log_q, rtol=1e-3, atol=1e-3)
    with pytest.raises(UserError, match="must be normal"):
        lookup.find("evaluation", "mutual_information", "evaluate")(built.model, variables, data, KEY)
