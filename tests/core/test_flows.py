"""Flows: log-determinants by autodiff, inverses, densities that integrate to one."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from ae_jax.core import lookup
from ae_jax.core.distributions import Normal
from ae_jax.core.errors import UserError
from ae_jax.core.flows import Autoregressive, Inverse, Planar, Radial, Transformed, check_hidden
from ae_jax.core.types import DataSpec
from ae_jax.evaluation.data import EvalData
from ae_jax.experiments import experiment
from ae_jax.models import vae
from ae_jax.models.nets import mlp
from ae_jax.models.posteriors import iaf
from ae_jax.models.priors.flow import Prior
from ae_jax.objectives.elbo import elbo
from ae_jax.objectives.importance_weighted import stl
from configs import iwae

KEY = jax.random.key(0)


def planar(size, batch=(), seed=0, scale=1.5):
    draw = np.random.default_rng(seed).normal
    return Planar(*(jnp.asarray(scale * draw(size=(*batch, n)), jnp.float32) for n in (size, size, 1)))


def radial(size, batch=(), seed=0):
    draw = np.random.default_rng(seed).normal
    return Radial(*(jnp.asarray(draw(size=(*batch, n)), jnp.float32) for n in (size, 1, 1)))


def autoregressive(size, batch=(), seed=0, hidden=7, gated=True):
    draw = np.random.default_rng(seed).normal
    shapes = ((*batch, hidden), (*batch, 2 * size), (size, hidden), (hidden, 2 * size))
    return Autoregressive(*(jnp.asarray(draw(size=shape), jnp.float32) for shape in shapes), gated=gated)


def inverted(size, batch=(), seed=0):
    return Inverse(autoregressive(size, batch, seed, gated=False))


FLOWS = pytest.mark.parametrize("make", [planar, radial, autoregressive, inverted])


@functools.cache
def derivatives():
    """(flow, z [N, D]) -> y, log-determinants, Jacobians, and the same of the inverse at y."""
    both = lambda ask, at: (*ask(at), jax.vmap(jax.jacobian(lambda point: ask(point)[0]))(at))
    return jax.jit(lambda flow, z: (*both(flow, z), *both(flow.inverse, flow(z)[0])))


@FLOWS
@pytest.mark.parametrize("size", [1, 2, 5])
def test_log_determinant_and_inverse(make, size):
    for seed in range(3):
        z = 2 * jax.random.normal(jax.random.key(seed), (6, size))
        _, log_determinant, jacobians, again, opposite, back = derivatives()(make(size, seed=seed), z)
        _, expected = np.linalg.slogdet(np.asarray(jacobians, float))
        np.testing.assert_allclose(log_determinant, expected, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(again, z, rtol=1e-3, atol=1e-3)
        np.testing.assert_allclose(opposite, -expected, rtol=1e-3, atol=1e-3)
        np.testing.assert_allclose(back @ jacobians, np.tile(np.eye(size), (6, 1, 1)), atol=1e-2)


def test_a_radial_flow_is_flat_at_its_centre_and_pulls_or_pushes():
    """By hand: alpha = beta = log 2, or beta = -alpha / 2, at a distance of 1 along an axis."""
    log2, centre = np.log(2), jnp.array([1.0, -1.0])
    zero = jnp.zeros(1)
    pushed, _ = Radial(centre, zero, jnp.log(jnp.expm1(jnp.array([2 * log2]))))(centre + jnp.array([1.0, 0.0]))
    np.testing.assert_allclose(pushed, centre + jnp.array([1 + log2 / (1 + log2), 0]), rtol=1e-5)
    pulling = Radial(centre, zero, jnp.log(jnp.expm1(jnp.array([log2 / 2]))))
    pulled, log_determinant = pulling(centre)
    np.testing.assert_allclose(pulled, centre)
    np.testing.assert_allclose(log_determinant, 2 * np.log(0.5), rtol=1e-4)  # the scale is 1 + beta / alpha either way
    assert all(jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(jax.jacobian(pulling)(centre)))


def test_what_is_autoregressive_is_triangular():
    size = 4
    jacobian = jax.jacobian(lambda z: autoregressive(size)(z)[0][::-1])(jnp.ones(size))
    np.testing.assert_array_equal(jnp.triu(jacobian, 1), 0)
    assert (jnp.tril(jacobian) != 0).sum() == size * (size + 1) // 2


@FLOWS
def test_each_example_has_its_own_flow(make):
    flow, z = make(3, batch=(4,)), jax.random.normal(KEY, (5, 4, 3))
    y, log_determinant = flow(z)
    shared = make(3)
    for n in range(4):
        # What has no batch axis is of all examples.
        alone = jax.tree.map(lambda mine, one, n=n: mine[n] if mine.ndim > one.ndim else mine, flow, shared)
        one_y, one_log_determinant = alone(z[:, n])
        np.testing.assert_allclose(y[:, n], one_y, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(log_determinant[:, n], one_log_determinant, rtol=1e-4, atol=1e-5)


REACH = {inverted: 60}  # it divides by gates that may be small


@FLOWS
@pytest.mark.parametrize("size", [1, 2])
def test_densities_integrate_to_one_and_are_those_of_the_samples(make, size):
    base = Normal(0.3 * jnp.ones(size), jnp.full(size, -0.2))
    q = Transformed(base, (make(size, seed=1), make(size, seed=2)))
    reach = REACH.get(make, 12)
    axis = np.linspace(-reach, reach, 4001 if size == 1 else 401)
    grid = np.stack(np.meshgrid(*[axis] * size), axis=-1).reshape(-1, size).astype(np.float32)
    mass = np.exp(np.asarray(q.log_prob(jnp.asarray(grid)), float)).sum() * (axis[1] - axis[0]) ** size
    assert mass == pytest.approx(1, abs=5e-3)
    z, log_q = q.sample_and_log_prob(KEY, 200)
    np.testing.assert_allclose(q.log_prob(z), log_q, rtol=1e-2, atol=2e-2)
    np.testing.assert_array_equal(q.sample(KEY, 200), z)


@pytest.mark.parametrize("prior", ["mixture", "vamp", "flow"])
def test_a_config_chooses_priors(prior):
    config = iwae.get_config("smoke,k=2")
    config.model.update(prior=prior, latent_dim=3)
    built = experiment.build(config)
    batch = next(iter(built.held_out(built.splits["test"], 4)))
    made = lambda key: built.model.init_with_output({"params": key, "latent": key}, batch, num_samples=2)
    outputs, variables = jax.jit(made)(KEY)
    assert variables["params"]["p_z"] and np.isfinite(outputs.latents[0].log_p).all()


@pytest.mark.parametrize("posterior", ["planar", "radial", "iaf"])
def test_a_config_chooses_them(posterior):
    config = iwae.get_config("smoke,k=2,objective=dreg")
    config.model.update(posterior=posterior, flows=2, latent_dim=3)
    built = experiment.build(config)
    built.check()
    data = EvalData.of(test=built.held_out(built.splits["test"], 8))
    batch = next(iter(data.test))
    made = jax.jit(lambda key: built.model.init_with_output({"params": key, "latent": key}, batch, num_samples=2))
    outputs, variables = made(KEY)
    (latent,) = outputs.latents
    assert latent.sample.shape == (2, 8, 3) and outputs.code.shape == (8, 3)
    np.testing.assert_allclose(latent.log_q_path, latent.log_q, rtol=1e-3, atol=1e-3)
    with pytest.raises(UserError, match="normal posteriors"):
        lookup.find("metrics", "mutual_information", "evaluate")(built.model, variables, data, KEY)


def test_a_flow_as_prior_has_the_density_of_what_it_draws():
    prior = lambda size: Prior(size, flows=3, flow_hidden=8)
    model = vae.Model(DataSpec((3,), "reals"), mlp.Encoder((4,)), mlp.Decoder((4,)), prior=prior, latent_dim=3)
    batch = {name: jax.random.normal(KEY, (8, 3)) for name in ("x", "inputs")}
    made = jax.jit(lambda key: model.init_with_output({"params": key, "latent": key}, batch, num_samples=4))
    outputs, variables = made(KEY)
    (latent,) = outputs.latents

    def noise_of(z):
        for flow in latent.prior.flows[::-1]:
            z = flow.inverse(z)[0]
        return z

    z = latent.sample.reshape(-1, 3)
    _, log_determinant = np.linalg.slogdet(jax.jit(jax.vmap(jax.jacobian(noise_of)))(z))
    expected = stats.norm.logpdf(noise_of(z)).sum(axis=-1) + log_determinant
    np.testing.assert_allclose(latent.log_p.reshape(-1), expected, rtol=1e-3, atol=1e-3)
    assert len(latent.prior.flows) == 3 and np.abs(latent.log_p - stats.norm.logpdf(latent.sample).sum(-1)).max() > 0.1
    (drawn,) = model.apply(variables, {"mask": jnp.ones(5)}, method="prior_codes", rngs={"latent": KEY})
    assert drawn.shape == (1, 5, 3)


def with_parts(posterior, prior, latent_dim):
    find = lambda kind, name: lookup.find(f"{kind}s", name, kind.capitalize())
    parts = {kind: find(kind, name) for kind, name in (("posterior", posterior), ("prior", prior))}
    return vae.Model(DataSpec((3,), "reals"), mlp.Encoder((4,)), mlp.Decoder((4,)), latent_dim=latent_dim, **parts)


def is_discrete(kind, name):
    return lookup.find(f"{kind}s", name, kind.capitalize()).is_discrete


# Densities only; without the circle, which needs a plane, and without what the next test sees refused.
POSTERIORS = [name for name in lookup.choices("posteriors") if not is_discrete("posterior", name)]
PRIORS = [name for name in lookup.choices("priors") if not is_discrete("prior", name)]
PAIRS = [("diagonal_normal", "vamp")]
PAIRS += [(q, p) for q in POSTERIORS for p in PRIORS if p not in ("circle", "vamp")]


@pytest.mark.parametrize("posterior, prior", PAIRS)
def test_the_elbo_of_every_pair_is_unbiased(posterior, prior):
    """The mean over draws is the KL by quadrature along the line, of densities that each integrate to one."""
    model, draws = with_parts(posterior, prior, latent_dim=1), 4000
    batch = {name: jax.random.normal(KEY, (2, 3)) for name in ("x", "inputs")}
    line, step = np.linspace(-20, 20, 10001, retstep=True)
    line = jnp.asarray(line[:, None, None], jnp.float32)

    def asked(variables, key):
        outputs = model.apply(variables, batch, num_samples=draws, rngs={"latent": key})
        (latent,) = outputs.latents
        kl = elbo(outputs, batch)["kl"]
        return latent.log_q - latent.log_p, kl, latent.posterior.log_prob(line), latent.prior.log_prob(line)

    leaves, tree = jax.tree.flatten(jax.jit(model.init)({"params": KEY, "latent": KEY}, batch))
    moved = [leaf + 0.2 * jax.random.normal(jax.random.key(n), leaf.shape) for n, leaf in enumerate(leaves)]
    drawn, kl, *densities = jax.jit(asked)(jax.tree.unflatten(tree, moved), KEY)
    log_q, log_p = (np.asarray(values, float) for values in densities)
    for log_density in (log_q, log_p):
        np.testing.assert_allclose(np.exp(log_density).sum(axis=0) * step, 1, atol=2e-3)
    expected = (np.exp(log_q) * (log_q - log_p)).sum(axis=0) * step
    tolerance = 4 * np.std(drawn, axis=0) / np.sqrt(draws) + 2e-3
    assert (np.abs(drawn.mean(axis=0) - expected) < tolerance).all()
    assert (np.abs(kl - expected) < tolerance).all()


@pytest.mark.parametrize("prior", lookup.choices("priors"))
@pytest.mark.parametrize("posterior", lookup.choices("posteriors"))
def test_every_posterior_goes_with_every_prior_or_says_why_not(posterior, prior):
    model = with_parts(posterior, prior, latent_dim=2)
    batch = {name: jnp.ones((5, 3)) for name in ("x", "inputs")}

    def bounds():
        outputs, _ = model.init_with_output({"params": KEY, "latent": KEY}, batch, num_samples=2)
        return {**stl(outputs, batch), **elbo(outputs, batch)}

    if is_discrete("posterior", posterior) != is_discrete("prior", prior):
        with pytest.raises(UserError, match="model.posterior=gumbel_softmax and model.prior=uniform"):
            jax.eval_shape(bounds)
    elif prior == "vamp" and posterior != "diagonal_normal":
        with pytest.raises(UserError, match="needs a normal posterior"):
            jax.eval_shape(bounds)
    else:
        assert {name: term.shape for name, term in jax.eval_shape(bounds).items()} == dict.fromkeys(
            ("bound", "kl", "reconstruction"), (5,)
        )


def test_a_flow_with_too_few_hidden_units_is_refused():
    """Without a unit of degree k, later coordinates could not depend on the k-th."""
    check_hidden(4, 5)
    with pytest.raises(UserError, match="model.flow_hidden=3.*\n.*flow_hidden=4"):
        check_hidden(3, 5)
    with pytest.raises(UserError, match="flow_hidden"):
        iaf.Posterior(6, flow_hidden=4).init(jax.random.key(0), jnp.zeros((1, 2)))
