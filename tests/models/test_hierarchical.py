"""Two stochastic layers whose maps are linear: everything in closed form."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gradients import assert_same_in_the_mean, gradient_by
from scipy import stats

from ae_jax.core import lookup
from ae_jax.core.errors import UserError
from ae_jax.core.importance import log_weights
from ae_jax.core.types import DataSpec
from ae_jax.data.batching import Batches
from ae_jax.evaluation.data import EvalData
from ae_jax.models import hierarchical, ladder
from ae_jax.models.likelihoods import gaussian
from ae_jax.models.nets import mlp
from ae_jax.objectives.importance_weighted import dreg, iwae, stl

SIZE, SCALE, SPEC = 4, 0.7, DataSpec((4,), "reals")
MODEL = hierarchical.Model(
    SPEC,
    encoder=mlp.Encoder(hidden=()),
    decoder=mlp.Decoder(hidden=()),
    likelihood=functools.partial(gaussian.Likelihood, scale=SCALE),
    latent_dim=2,
    upper_dims=(1,),
    upper_hidden=(),
)
RNG = np.random.default_rng(0)
DOWN, SPREAD, WEIGHTS = np.array([[1.3, -0.8]]), np.array([0.6, 1.1]), RNG.normal(size=(2, SIZE))  # h2 -> h1 -> x
COVARIANCE = DOWN.T @ DOWN + np.diag(SPREAD**2)  # of h1
P_X = stats.multivariate_normal(np.zeros(SIZE), WEIGHTS.T @ COVARIANCE @ WEIGHTS + SCALE**2 * np.eye(SIZE))
X = P_X.rvs(6, random_state=0).astype(np.float32)
DATA = EvalData.of(test=Batches({"x": X}, SPEC, 6))
BATCH = next(iter(DATA.test))
KEY = jax.random.key(0)


def head(mean, log_sigma, mean_bias=None):
    """A normal head with mean x @ mean and a scale that depends on nothing."""
    rows, size = np.shape(mean)
    dense = lambda kernel, bias: {"kernel": jnp.asarray(kernel, jnp.float32), "bias": jnp.asarray(bias, jnp.float32)}
    bias = np.zeros(size) if mean_bias is None else mean_bias
    return {"z_mean": dense(mean, bias), "z_log_sigma": dense(np.zeros((rows, size)), log_sigma)}


def variables(off=0.1):
    """The posteriors' means and log-scales are `off` the best."""
    precision = np.linalg.inv(COVARIANCE) + WEIGHTS @ WEIGHTS.T / SCALE**2
    covariance = np.linalg.inv(precision)
    up = DOWN / np.square(SPREAD) / (1 + np.square(DOWN / SPREAD).sum())
    scale = 1 / math.sqrt(1 + np.square(DOWN / SPREAD).sum())
    params = {
        "q_z": head(WEIGHTS.T @ covariance / SCALE**2, off + 0.5 * np.log(np.diag(covariance)), np.full(2, off)),
        "q_up_0": {"Posterior_0": head(up.T, [off + math.log(scale)], [off])},
        "p_down_0": {"Posterior_0": head(DOWN, np.log(SPREAD))},
        "decoder": {"Dense_0": {"kernel": jnp.asarray(WEIGHTS, jnp.float32), "bias": jnp.zeros(SIZE)}},
    }
    return {"params": params}


def score(name, **options):
    return lookup.find("metrics", name, "evaluate")(MODEL, variables(), DATA, KEY, **options)


def test_the_parameters_are_those_of_the_model():
    shapes = lambda tree: jax.tree.map(jnp.shape, tree)
    made = MODEL.init({"params": KEY, "latent": KEY}, BATCH)["params"]
    assert shapes(made) == shapes(variables()["params"])
    assert MODEL.roles.keys() == {"q_z", "q_up_0"}


def test_nll_is_that_of_the_closed_form():
    scores = score("nll", samples=4000, repeats=4)
    assert abs(scores["nll"] + P_X.logpdf(X).mean()) < 0.01 + 3 * scores["nll_repeats_se"]
    elbos = [-score("elbo", samples=4000)["elbo"], score("nll", samples=1, repeats=200)["nll"]]
    assert elbos[0] == pytest.approx(elbos[1], abs=0.1) and elbos[0] > scores["nll"]


def test_the_joint_density_is_that_of_the_codes_that_were_drawn():
    outputs = MODEL.apply(variables(), BATCH, num_samples=3, rngs={"latent": KEY})
    top, low = outputs.latents
    assert top.sample.shape == (3, 6, 1) and low.sample.shape == (3, 6, 2) == (3, *outputs.code.shape)
    samples = tuple(latent.sample for latent in outputs.latents)
    log_joint = MODEL.apply(variables(), samples, BATCH, method="log_joint")
    h1, h2 = np.asarray(low.sample, float), np.asarray(top.sample, float)
    parts = stats.norm.logpdf(h2).sum(-1), stats.norm.logpdf(h1, h2 @ DOWN, SPREAD).sum(-1)
    expected = sum(parts) + stats.norm.logpdf(X, h1 @ WEIGHTS, SCALE).sum(-1)
    np.testing.assert_allclose(log_joint, expected, rtol=1e-4)
    np.testing.assert_allclose(log_joint - top.log_q - low.log_q, log_weights(outputs, BATCH), rtol=1e-4, atol=1e-4)
    for latent in outputs.latents:
        np.testing.assert_allclose(latent.log_q_path, latent.log_q, rtol=1e-5)


def test_codes_of_the_prior_have_its_covariance():
    top, low = MODEL.apply(variables(), {"mask": jnp.ones(20000)}, method="prior_codes", rngs={"latent": KEY})
    assert top.shape == (1, 20000, 1)
    np.testing.assert_allclose(np.cov(low[0], rowvar=False), COVARIANCE, atol=0.05)


def stopped_whole(outputs, batch):
    """DReG with the upper posterior stopped whole, its dependence on the lower layer's sample too."""
    top, low = outputs.latents
    density = jax.lax.stop_gradient(top.posterior).log_prob(top.sample)
    return dreg(outputs.replace(latents=(top.replace(log_q_path=density), low)), batch)


def test_dreg_is_unbiased_for_either_layer():
    away = variables(off=0.5)
    for module in ("q_z", "q_up_0"):
        assert_same_in_the_mean(MODEL, away, BATCH, dreg, iwae, module, 5)
    with pytest.raises(AssertionError):
        assert_same_in_the_mean(MODEL, away, BATCH, stopped_whole, iwae, "q_z", 5)


@pytest.mark.parametrize("family", [hierarchical, ladder])
def test_there_may_be_more_than_two_layers(family):
    options = {key: getattr(MODEL, key) for key in ("encoder", "decoder", "likelihood", "latent_dim", "upper_hidden")}
    model = family.Model(SPEC, upper_dims=(3, 1), **options)
    outputs, made = model.init_with_output({"params": KEY, "latent": KEY}, BATCH, num_samples=2)
    assert [latent.sample.shape for latent in outputs.latents] == [(2, 6, 1), (2, 6, 3), (2, 6, 2)]
    log_joint = model.apply(made, tuple(latent.sample for latent in outputs.latents), BATCH, method="log_joint")
    log_q = sum(latent.log_q for latent in outputs.latents)
    np.testing.assert_allclose(log_joint - log_q, log_weights(outputs, BATCH), rtol=1e-4, atol=1e-4)
    assert [z.shape for z in model.apply(made, BATCH, method="prior_codes", rngs={"latent": KEY})] == [
        (1, 6, 1),
        (1, 6, 3),
        (1, 6, 2),
    ]


def test_the_priors_of_either_layer_have_the_ordinary_gradient():
    for objective in (stl, dreg):
        for module in ("p_down_0", "decoder"):
            by = lambda one, module=module: gradient_by(MODEL, variables(off=0.5), one, module, 5, BATCH, KEY)
            found, ordinary = by(objective), by(iwae)
            np.testing.assert_allclose(found, ordinary, rtol=1e-4, atol=1e-4)


def test_units_are_counted_by_layer_and_closed_forms_refused():
    scores = score("active_units")
    assert scores["active_units"] == scores["active_units_1"] + scores["active_units_2"] == 3
    with pytest.raises(UserError, match="normal posterior and a normal prior"):
        score("kl_per_dimension")
    with pytest.raises(UserError, match="model.upper_dims is"):
        MODEL.clone(upper_dims=()).init({"params": KEY, "latent": KEY}, BATCH)


def test_information_is_that_of_the_layer_next_to_the_data_and_the_rest_of_the_kl_is_the_aggregates():
    """h2 tells of x only what h1 does. The expected values are of draws by numpy."""
    params, rng = variables()["params"], np.random.default_rng(1)
    value = lambda module, name, part: np.asarray(params[module][name][part], float)
    loc, scale = X @ value("q_z", "z_mean", "kernel") + 0.1, np.exp(value("q_z", "z_log_sigma", "bias"))
    h1 = loc[:, None] + scale * rng.normal(size=(6, 5000, 2))
    log_q = stats.norm.logpdf(h1, loc[:, None], scale).sum(-1)
    densities = stats.norm.logpdf(h1[:, :, None], loc, scale).sum(-1)  # of each draw under each posterior
    information = (log_q - np.log(np.exp(densities).mean(-1))).mean()
    assert score("mutual_information", samples=3000)["mutual_information"] == pytest.approx(information, abs=0.02)
    up = params["q_up_0"]["Posterior_0"]
    above = h1 @ np.asarray(up["z_mean"]["kernel"], float) + 0.1
    spread = np.exp(np.asarray(up["z_log_sigma"]["bias"], float))
    h2 = above + spread * rng.normal(size=above.shape)
    log_p = stats.norm.logpdf(h2).sum(-1) + stats.norm.logpdf(h1, h2 @ DOWN, SPREAD).sum(-1)
    total = (log_q + stats.norm.logpdf(h2, above, spread).sum(-1) - log_p).mean()
    assert score("aggregate_kl", samples=3000)["aggregate_kl"] == pytest.approx(total - information, abs=0.05)
