"""A ladder with linear maps and an orthogonal decoder, whose posterior is the exact one: its weights are all p(x)."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gradients import assert_same_in_the_mean
from scipy import stats
from test_hierarchical import head

from ae_jax.core import lookup
from ae_jax.core.errors import UserError
from ae_jax.core.importance import log_weights
from ae_jax.core.kl import kl
from ae_jax.core.types import DataSpec
from ae_jax.data.batching import Batches
from ae_jax.evaluation.data import EvalData
from ae_jax.experiments import experiment
from ae_jax.models import ladder
from ae_jax.models.likelihoods import gaussian
from ae_jax.models.nets import mlp, norm
from ae_jax.models.posteriors import planar
from ae_jax.objectives import importance_weighted
from ae_jax.objectives.importance_weighted import dreg, stl
from ae_jax.training.step import streams
from configs import iwae

SIZE, SCALE, SPEC = 4, 0.7, DataSpec((4,), "reals")
PARTS = dict(
    encoder=mlp.Encoder(hidden=()),
    decoder=mlp.Decoder(hidden=()),
    latent_dim=2,
    upper_dims=(1,),
)
LIKELIHOOD = functools.partial(gaussian.Likelihood, scale=SCALE)
MODEL = ladder.Model(SPEC, likelihood=LIKELIHOOD, upper_hidden=(), **PARTS)
DOWN, SPREAD = np.array([[1.3, -0.8]]), np.array([0.6, 1.1])  # z2 -> z1
WEIGHTS = np.array([[0.8, 0.0, -0.6, 0.0], [0.0, 0.5, 0.0, 1.2]])  # z1 -> x, of orthogonal rows
COVARIANCE = WEIGHTS.T @ (DOWN.T @ DOWN + np.diag(SPREAD**2)) @ WEIGHTS + SCALE**2 * np.eye(SIZE)
P_X = stats.multivariate_normal(np.zeros(SIZE), COVARIANCE)
X = P_X.rvs(6, random_state=0).astype(np.float32)
DATA = EvalData.of(test=Batches({"x": X}, SPEC, 6))
BATCH = next(iter(DATA.test))
KEY = jax.random.key(0)


def variables(off=0.0):
    """The estimates of the exact posterior, their means and log-scales `off` the best."""
    # p(x|z1) as a function of z1, and p(z2|x).
    squares, to_top = np.square(WEIGHTS).sum(axis=1), DOWN @ WEIGHTS
    gain = to_top @ np.linalg.inv(COVARIANCE)
    top_scale = math.sqrt(1 - (gain @ to_top.T).item())
    params = {
        "q_z": head(WEIGHTS.T / squares, off + np.log(SCALE / np.sqrt(squares)), np.full(2, off)),
        "q_up_0": {"Posterior_0": head(gain.T, [off + math.log(top_scale)], [off])},
        "p_down_0": {"Posterior_0": head(DOWN, np.log(SPREAD))},
        "decoder": {
            "Dense_0": {
                "kernel": jnp.asarray(WEIGHTS, jnp.float32),
                "bias": jnp.zeros(SIZE),
            }
        },
    }
    return {"params": params}


@functools.partial(jax.jit, static_argnames="samples")
def asked(variables, key, samples):
    return MODEL.apply(variables, BATCH, num_samples=samples, rngs={"latent": key})


def answer(off=0.0, key=0, samples=3):
    return asked(variables(off), jax.random.key(key), samples)


def test_with_the_exact_posterior_every_weight_is_the_density_of_the_data():
    np.testing.assert_allclose(log_weights(answer(), BATCH), np.tile(P_X.logpdf(X), (3, 1)), rtol=1e-4, atol=1e-4)
    assert np.std(log_weights(answer(off=0.3), BATCH), axis=0).min() > 1e-2
    made = jax.eval_shape(lambda: MODEL.init({"params": KEY, "latent": KEY}, BATCH))["params"]
    assert jax.tree.map(jnp.shape, made) == jax.tree.map(jnp.shape, variables()["params"])


def test_the_code_is_the_mean_given_the_means_above():
    top, low = answer(off=0.2).latents
    above = np.asarray(top.posterior.mean, float) @ DOWN
    q_low = variables(0.2)["params"]["q_z"]
    precision = np.exp(-2 * np.asarray(q_low["z_log_sigma"]["bias"], float))
    estimate = X @ np.asarray(q_low["z_mean"]["kernel"], float) + 0.2
    expected = (precision * estimate + above / SPREAD**2) / (precision + 1 / SPREAD**2)
    np.testing.assert_allclose(answer(off=0.2, key=1).code, expected, rtol=1e-4, atol=1e-5)
    assert top.sample.shape == (3, 6, 1) and low.sample.shape == (3, 6, 2)


def test_the_kl_of_each_layer_has_a_closed_form_given_the_layer_above():
    outputs = answer(off=0.3, samples=4000)
    for latent in outputs.latents:
        sampled = (latent.log_q - latent.log_p).mean(axis=0)
        np.testing.assert_allclose(kl(latent), sampled, atol=0.1)
    found = lookup.find("metrics", "kl_per_dimension", "evaluate")(MODEL, variables(0.3), DATA, KEY)
    assert found.keys() == {"kl_dimension_0", "kl_dimension_1"}
    with pytest.raises(UserError, match="on x alone"):
        lookup.find("metrics", "mutual_information", "evaluate")(MODEL, variables(0.3), DATA, KEY)


@pytest.mark.parametrize("module", ["q_z", "q_up_0"])
def test_dreg_is_unbiased_for_either_layer_and_vanishes_with_the_exact_posterior(module):
    pair = dreg, importance_weighted.iwae
    assert_same_in_the_mean(MODEL, variables(off=0.5), BATCH, *pair, module, 5, keys=1500)

    def bound(part, objective):
        params = {**variables()["params"], module: part}
        outputs = MODEL.apply({"params": params}, BATCH, num_samples=4, rngs={"latent": KEY})
        terms = objective(outputs, BATCH)
        return (terms["encoder"]["encoder_bound"] if "encoder" in terms else terms["bound"]).sum()

    gradient = jax.jit(jax.grad(bound), static_argnums=1)
    size = lambda objective: max(
        np.abs(leaf).max() for leaf in jax.tree.leaves(gradient(variables()["params"][module], objective))
    )
    assert max(size(dreg), size(stl)) < 1e-3 < 1e-1 < size(importance_weighted.iwae)


# --- normalisation ----------------------------------------------------------------------------------------------------


def test_a_batch_is_normalised_by_itself_in_training_and_by_what_was_seen_afterwards():
    x = 3 + 2 * jax.random.normal(KEY, (500, 4))
    module = norm.Norm("batch")
    state = module.init(KEY, x)
    train = jax.jit(lambda state, x: module.apply(state, x, mutable=["batch_stats"]))
    for _ in range(100):
        y, changed = train(state, x)
        state = {**state, **changed}
    np.testing.assert_allclose(y.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(y.std(axis=0), 1, rtol=1e-3)
    np.testing.assert_allclose(module.apply(state, x), y, atol=2e-2)
    assert module.apply(state, x + 1).mean() == pytest.approx(0.5, abs=0.05)
    layer = norm.Norm("layer")
    y = layer.apply(layer.init(KEY, x), x)
    np.testing.assert_allclose(y.mean(axis=1), 0, atol=1e-4)


def test_what_fills_up_a_batch_is_in_no_statistic():
    x, mask = jax.random.normal(KEY, (3, 8, 4)), jnp.array([1, 1, 1, 1, 1, 0, 0, 0])
    module = norm.Norm("batch")
    state = module.init(KEY, x, mask)
    apply = lambda x: module.apply(state, x, mask, mutable=["batch_stats"])
    (y, changed), (other, same) = apply(x), apply(x.at[:, 5:].set(7.0))
    np.testing.assert_allclose(y[:, :5].mean(axis=(0, 1)), 0, atol=1e-6)
    np.testing.assert_array_equal(y[:, :5], other[:, :5])
    jax.tree.map(np.testing.assert_array_equal, changed, same)


def test_running_statistics_are_written_once_a_step_by_what_is_drawn():
    config = iwae.get_config("smoke,k=1,objective=elbo,layers=2")
    config.model.update(name="ladder", norm="batch", upper_hidden=(5,), latent_dim=3, upper_dims=(2,))
    built = experiment.build(config)
    state = built.init(KEY)
    step = jax.jit(built.step)
    batch = next(iter(built.batches("train")))
    new, _ = step(state, batch, built.hparams)
    names = {"q_up_0", "p_down_0"}
    assert new.extra["batch_stats"].keys() == names
    keys = streams(jax.random.fold_in(state.key, state.step))
    prepared = built.prepare(keys, batch, {})
    variables = {"params": state.params, **state.extra}
    encode = functools.partial(built.model.apply, method="encode", mutable=["batch_stats"])
    _, once = jax.jit(encode)(variables, prepared, rngs=keys)
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-6),
        new.extra["batch_stats"],
        once["batch_stats"],
    )


def test_mistakes_are_explained():
    model = MODEL.clone(posterior=planar.Posterior)
    with pytest.raises(UserError, match="model.posterior=diagonal_normal"):
        model.init({"params": KEY, "latent": KEY}, BATCH)
    with pytest.raises(UserError, match="model.norm 'bach'.*did you mean 'batch'"):
        norm.Norm("bach").init(KEY, jnp.ones((2, 3)))
