"""Likelihoods and the parts of the KL against closed forms and quadrature."""

import functools
import math

import jax
import jax.numpy as jnp
import linear_gaussian
import numpy as np
import pytest
from linear_gaussian import MODEL, SPEC
from scipy import stats

from ae_jax.core import lookup
from ae_jax.core.errors import UserError
from ae_jax.core.types import DataSpec
from ae_jax.data.batching import Batches
from ae_jax.evaluation.data import EvalData
from ae_jax.models import ae, vae
from ae_jax.models.likelihoods import bernoulli, discretized_logistic_mixture, gaussian
from ae_jax.models.nets import mlp
from ae_jax.models.posteriors import diagonal_normal, iaf

X = linear_gaussian.draw(12)
DATA = EvalData.of(test=Batches({"x": X}, SPEC, 5))  # the last batch is padded
EXACT, AWAY = linear_gaussian.variables(), linear_gaussian.variables(shift=0.2, log_scale=0.2)
NLL = -linear_gaussian.log_p(X).mean()


def score(name, variables=AWAY, model=MODEL, data=DATA, seed=0, **options):
    return lookup.find("metrics", name, "evaluate")(model, variables, data, jax.random.key(seed), **options)


def test_nll_is_that_of_the_closed_form():
    scores = score("nll", samples=2000, repeats=5, chunk=300)
    assert abs(scores["nll"] - NLL) < 0.01 + 3 * scores["nll_repeats_se"]
    assert scores["nll_se"] == pytest.approx(stats.sem(linear_gaussian.log_p(X)), rel=0.05)
    assert score("nll", samples=2) == score("nll", samples=2) != score("nll", samples=2, seed=1)


@pytest.mark.parametrize(("samples", "chunk"), [(1, 500), (7, 3), (8, 4)])
def test_with_the_exact_posterior_there_is_no_gap_whatever_the_samples_and_their_chunks(samples, chunk):
    scores = score("nll", EXACT, samples=samples, chunk=chunk)
    assert scores["nll"] == pytest.approx(NLL, abs=1e-4)
    assert scores["nll_effective_share"] == pytest.approx(1, rel=1e-4)  # all weights are p(x)


def test_a_wrong_encoder_is_told_by_its_effective_samples(capsys):
    """The posterior's means are off by many of its deviations: a few draws carry all the weight."""
    assert score("nll", samples=500)["nll_effective_share"] > 0.5 and not capsys.readouterr().err
    wrong = score("nll", linear_gaussian.variables(shift=4.0, log_scale=-0.5), samples=500)
    assert wrong["nll"] > NLL + 2 and wrong["nll_effective_share"] < 0.02
    said = capsys.readouterr().err
    assert "effective samples of 500" in said and "--nll_samples" in said and "ais" in said


def test_ais_is_that_of_the_closed_form_and_its_runs_bracket_the_models_own_data():
    data = EvalData.of(test=Batches({"x": X}, SPEC, len(X)))
    scores = [score("ais", data=data, chains=100, temperatures=50, leapfrog=4, seed=seed) for seed in range(4)]
    estimates, gaps = (np.array([each[name] for each in scores]) for name in ("ais_nll", "ais_gap"))
    assert abs(estimates.mean() - NLL) < 0.01 + 3 * stats.sem(estimates)
    assert -3 * stats.sem(gaps) < gaps.mean() < 0.02 + 3 * stats.sem(gaps)
    assert gaps[0] == pytest.approx(scores[0]["ais_forward_nll"] - scores[0]["ais_reverse_nll"], abs=1e-4)


# --- one dimension ----------------------------------------------------------------------------------------------------

ONE = vae.Model(
    SPEC,
    encoder=mlp.Encoder(hidden=()),
    decoder=mlp.Decoder(hidden=()),
    posterior=functools.partial(diagonal_normal.Posterior, shared_scale=True),
    latent_dim=1,
)
KERNEL, SIGMA = np.array([[0.7], [0.0], [-0.4], [0.0]]), 0.6
MEANS = (X @ KERNEL)[:, 0]


def one_dimensional(sigma=SIGMA):
    params = ONE.init({"params": jax.random.key(0), "latent": jax.random.key(0)}, next(iter(DATA.test)))["params"]
    mean = {"kernel": jnp.asarray(KERNEL, jnp.float32), "bias": jnp.zeros(1)}
    return {"params": {**params, "q_z": {"z_mean": mean, "z_log_sigma": jnp.full(1, math.log(sigma))}}}


def test_the_kl_is_mutual_information_and_the_kl_of_the_aggregate():
    z = np.linspace(-8, 8, 20001)
    by_example = stats.norm.pdf(z[:, None], MEANS, SIGMA)
    aggregate, prior = by_example.mean(axis=1), stats.norm.pdf(z)
    to_prior = np.trapezoid(aggregate * np.log(aggregate / prior), z)
    information = -np.trapezoid(aggregate * np.log(aggregate), z) - stats.norm.entropy(scale=SIGMA)
    total = np.mean(0.5 * (SIGMA**2 + MEANS**2 - 1) - math.log(SIGMA))
    assert information + to_prior == pytest.approx(total, abs=1e-6)
    found = {name: score(name, one_dimensional(), ONE, samples=4000) for name in ("mutual_information", "aggregate_kl")}
    assert found["mutual_information"]["mutual_information"] == pytest.approx(information, abs=0.01)
    assert found["aggregate_kl"]["aggregate_kl"] == pytest.approx(to_prior, abs=0.01)
    assert found["aggregate_kl"]["aggregate_examples"] == 12
    assert found["aggregate_kl"]["log_aggregate_examples"] == pytest.approx(math.log(12))
    assert score("kl_per_dimension", one_dimensional(), ONE)["kl_dimension_0"] == pytest.approx(total, rel=1e-5)


def test_information_near_the_most_there_can_be_is_warned_of(capsys):
    score("mutual_information", one_dimensional(), ONE, samples=10)
    assert not capsys.readouterr().err
    assert score("mutual_information", one_dimensional(1e-4), ONE)["mutual_information"] == pytest.approx(math.log(12))
    assert "saturates" in capsys.readouterr().err


@pytest.mark.parametrize(("scale", "active"), [(1.0, 1), (0.02, 0)])
def test_active_units_are_those_whose_mean_varies(scale, active):
    variables = one_dimensional()
    kernel = scale * variables["params"]["q_z"]["z_mean"]["kernel"]
    variables["params"]["q_z"]["z_mean"]["kernel"] = kernel
    assert ((scale * MEANS).var() > 0.01) == active
    assert score("active_units", variables, ONE) == {"active_units": active}


def test_the_noise_of_an_average_is_no_activity():
    """Of a posterior that is the same for every example, an average over 100 draws still has a variance of 0.01."""
    variables, model, data = of_zeros(bernoulli, 2, count=200, posterior=iaf.Posterior, latent_dim=20)
    assert score("active_units", variables, model, data) == {"active_units": 0}


# --- bits per dimension -----------------------------------------------------------------------------------------------


def of_zeros(likelihood, levels, count=7, **options):
    """(variables, model, data): a model whose parameters are all zero, so that q(z|x) is the prior."""
    spec = DataSpec((3, 2, 1), levels=levels)
    x = np.random.default_rng(0).integers(0, levels, (count, *spec.shape), np.uint8)
    model = vae.Model(spec, mlp.Encoder((3,)), mlp.Decoder((3,)), likelihood.Likelihood, **options)
    data = EvalData.of(test=Batches({"x": x}, spec, 4))
    variables = model.init({"params": jax.random.key(0), "latent": jax.random.key(0)}, next(iter(data.test)))
    return jax.tree.map(jnp.zeros_like, variables), model, data


def test_bits_per_dimension_of_what_knows_nothing():
    """A binary value costs one bit; of 256 levels, one costs its share of a logistic distribution's mass."""
    scores = score("bits_per_dimension", *of_zeros(bernoulli, 2), samples=3)
    assert scores["elbo_bits_per_dim"] == pytest.approx(1) == scores["nll_bits_per_dim"]
    variables, model, data = of_zeros(discretized_logistic_mixture, 256)
    ends = np.concatenate([[-np.inf], (2 * np.arange(255) + 1) / 255 - 1, [np.inf]])
    bits = -np.log2(np.diff(stats.logistic.cdf(ends)))[data.test.arrays["x"]].reshape(7, -1).mean(axis=1)
    scores = score("bits_per_dimension", variables, model, data)
    assert scores == {
        "elbo_bits_per_dim": pytest.approx(bits.mean(), rel=1e-5),
        "elbo_bits_per_dim_se": pytest.approx(stats.sem(bits), rel=1e-3),
    }


@pytest.mark.parametrize(
    ("likelihood", "message"), [(gaussian, "a Normal is a density of reals"), (bernoulli, "Bernoulli of grey levels")]
)
def test_a_density_of_reals_and_a_loss_have_no_bits(likelihood, message):
    with pytest.raises(UserError, match=f"{message}.*\nuse model.likelihood=discretized_logistic_mixture"):
        score("bits_per_dimension", *of_zeros(likelihood, 256))


# --- names and mistakes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("levels", "suffix"), [(2, ""), (256, "_surrogate")])
def test_a_bernoulli_of_grey_levels_is_called_a_surrogate(levels, suffix):
    spec = DataSpec((2, 2, 1), levels=levels)
    x = np.random.default_rng(0).integers(0, levels, (6, *spec.shape), np.uint8)
    data, model = EvalData.of(test=Batches({"x": x}, spec, 6)), vae.Model(spec, mlp.Encoder((3,)), mlp.Decoder((3,)))
    variables = model.init({"params": jax.random.key(0), "latent": jax.random.key(0)}, next(iter(data.test)))
    assert f"nll{suffix}" in score("nll", variables, model, data, samples=2)


@pytest.mark.parametrize(
    "metric", ["nll", "ais", "kl_per_dimension", "active_units", "mutual_information", "aggregate_kl"]
)
def test_a_deterministic_code_has_none_of_them(metric):
    model = ae.Model(SPEC, mlp.Encoder(()), mlp.Decoder(()), MODEL.likelihood, latent_dim=2)
    variables = model.init(jax.random.key(0), next(iter(DATA.test)))
    message = "log_joint" if metric == "ais" else "needs a random latent.*\nuse --metrics=mse"
    with pytest.raises(UserError, match=message):
        score(metric, variables, model)


@pytest.mark.parametrize(("metric", "option"), [("nll", "samples"), ("nll", "repeats"), ("ais", "examples")])
def test_no_samples_are_no_estimate(metric, option):
    with pytest.raises(UserError, match=f"--{metric}_{option} is 0\nuse at least 1"):
        score(metric, **{option: 0})
