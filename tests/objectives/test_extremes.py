"""Importance weights that underflow leave bounds and gradients finite, and 0 * inf is never NaN."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from ae_jax.core import importance, reduce
from ae_jax.core.types import Latent, Outputs
from ae_jax.evaluation.metrics import ais
from ae_jax.objectives import importance_weighted
from ae_jax.training import players

SAMPLES = 4
# Logarithms of weights from underflow to beyond the range of exp; -inf is a weight that underflowed already.
EXTREME = st.one_of(st.integers(-(10**9), 10**9).map(float), st.sampled_from([-np.inf, -1e38, 0.0, 88.0, 1e4]))


class Given:
    """A likelihood that returns given log weights, plus parameters."""

    def __init__(self, log_w):
        self.log_w = log_w

    def log_prob(self, value):
        return self.log_w

    def sample(self, key, n):
        raise NotImplementedError


BATCH = {"x": jnp.zeros((1, 1))}


def outputs_of(log_w):
    """Outputs of a model whose log weights [S, B] are given."""
    zeros = jnp.zeros_like(log_w)
    latent = Latent(zeros[..., None], log_q=zeros, log_p=zeros, log_q_path=zeros)
    return Outputs(Given(log_w), (latent,), zeros[0][:, None])


def terms(objective, log_w):
    """{term: [B]} of an objective."""
    found = players.by_player(objective(outputs_of(log_w), {"x": jnp.zeros((log_w.shape[1], 1))}))
    return {name: values for by_name in found.values() for name, values in by_name.items()}


def exact(log_w):
    return special.logsumexp(np.asarray(log_w, np.float64), axis=0) - np.log(len(log_w))


def weights_of(values):
    """Log weights [S, 2]. One sample of the first example is finite; all samples of the second are -inf."""
    log_w = np.full((SAMPLES, 2), -np.inf, np.float32)
    log_w[:, 0] = values
    log_w[0, 0] = 0.0 if np.isneginf(log_w[0, 0]) else log_w[0, 0]
    return jnp.asarray(log_w)


@pytest.mark.parametrize("name", ["iwae", "stl", "dreg", "piwae", "ciwae"])
@given(values=st.lists(EXTREME, min_size=SAMPLES, max_size=SAMPLES))
def test_bounds_of_extreme_weights_are_those_of_scipy_and_gradients_are_finite(name, values):
    log_w = weights_of(values)
    found, pull = COMPILED[name](log_w)
    for bound in found.values():
        np.testing.assert_allclose(-bound, exact(log_w), rtol=1e-5, atol=1e-5)
    assert np.isfinite(pull[:, 0]).all()


OBJECTIVES = {name: getattr(importance_weighted, name) for name in ("iwae", "stl", "dreg", "piwae")}
OBJECTIVES["ciwae"] = functools.partial(importance_weighted.ciwae, beta=0.0)


def bound_and_gradient(objective, log_w):
    """Bounds, and the gradient of the first example's terms by what is added to the log weights."""

    def loss(added):
        found = terms(objective, log_w + added)
        return sum(values[0] for values in found.values()), found

    gradient, found = jax.grad(loss, has_aux=True)(jnp.zeros_like(log_w))
    return found, gradient


COMPILED = {name: jax.jit(functools.partial(bound_and_gradient, one)) for name, one in OBJECTIVES.items()}


@pytest.mark.parametrize("name", ["dreg", "piwae"])
def test_the_logged_loss_of_two_players_is_one_bound(name):
    """The sum of two bounds on log p(x) bounds nothing."""
    losses = {"decoder": jnp.asarray(88.0), "encoder": jnp.asarray(89.0)}
    assert list(players.by_player(OBJECTIVES[name](outputs_of(jnp.zeros((2, 1))), BATCH))) == list(losses)
    assert players.reported(losses) == 88
    assert players.reported({"autoencoder": jnp.asarray(2.0), "critic": jnp.asarray(0.5)}) == 2.5


def test_a_group_without_weight_has_the_bound_of_no_weight():
    log_w = jnp.asarray([[0.0], [-jnp.inf], [-jnp.inf], [-jnp.inf]])
    found = terms(functools.partial(importance_weighted.miwae, groups=2), log_w)["bound"]
    assert found == np.inf


@given(value=st.sampled_from([np.inf, -np.inf, np.nan, 1e38]))
def test_what_is_masked_out_may_be_anything(value):
    values, mask = jnp.asarray([1.0, value, 3.0]), jnp.asarray([1.0, 0.0, 1.0])
    assert reduce.masked_mean(values, mask) == 2
    gradient = jax.grad(lambda values: reduce.masked_mean(values, mask))(values)
    np.testing.assert_array_equal(gradient, [0.5, 0, 0.5])


def test_effective_samples_by_hand():
    weights = np.array([3.0, 1.0, 0.0, 1.0])
    by_hand = weights.sum() ** 2 / np.square(weights).sum()
    with np.errstate(divide="ignore"):
        log_w = np.log(weights)
    found = importance.effective_samples(jnp.asarray(np.log(5.0)), jnp.asarray(special.logsumexp(2 * log_w)))
    assert found == pytest.approx(by_hand, rel=1e-5)
    assert importance.effective_samples(jnp.asarray(-jnp.inf), jnp.asarray(-jnp.inf)) == 0


def test_chains_that_start_where_the_density_is_zero_have_no_nan():
    """log p(x, z) is -inf for z < 0, and neighbouring rungs of the ladder are equal."""

    def log_joint(z):
        return jnp.where(z[0][..., 0] < 0, -jnp.inf, -jnp.square(z[0][..., 0]))

    start = (jnp.linspace(-1.0, 1.0, 8).reshape(8, 1, 1),)
    ladder, steps = jnp.asarray([0.0, 0.0, 0.5, 0.5, 1.0]), jnp.full((4, 1), 0.1)
    log_w = ais._anneal(log_joint, start, ladder, steps, 2, jax.random.key(0))
    assert not np.isnan(log_w).any() and np.isfinite(importance.log_mean_exp(log_w)).all()
