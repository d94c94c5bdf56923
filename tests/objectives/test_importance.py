"""Importance-weighted bounds and their gradients, against each other and against the linear-Gaussian model."""

import functools

import jax
import jax.flatten_util
import jax.numpy as jnp
import linear_gaussian
import numpy as np
import optax
import pytest
from gradients import assert_same_in_the_mean, gradient_by
from linear_gaussian import MODEL

from ae_jax.core import schedules
from ae_jax.core.distributions import Normal
from ae_jax.core.errors import UserError
from ae_jax.core.importance import log_weights
from ae_jax.experiments import experiment
from ae_jax.models import ae
from ae_jax.models.nets import mlp
from ae_jax.models.priors import mixture
from ae_jax.objectives import importance_weighted
from ae_jax.objectives.elbo import elbo
from ae_jax.objectives.importance_weighted import dreg, piwae, stl
from ae_jax.training import players
from ae_jax.training.step import TrainState, make_hparams, make_train_step
from configs import iwae, vae

X = linear_gaussian.draw(3)
BATCH = {"x": jnp.asarray(X), "inputs": jnp.asarray(X), "mask": jnp.ones(3)}
EXACT, AWAY = linear_gaussian.variables(), linear_gaussian.variables(shift=0.3, log_scale=0.4)
SAMPLES = 6
miwae = lambda groups: functools.partial(importance_weighted.miwae, groups=groups)
ciwae = lambda beta: functools.partial(importance_weighted.ciwae, beta=beta)


def answer(samples=SAMPLES, variables=AWAY, key=0):
    return MODEL.apply(variables, BATCH, num_samples=samples, rngs={"latent": jax.random.key(key)})


class Unknown(Normal):
    """A posterior whose KL has no closed form, so that it is the mean of the same samples as all else."""


def sampled():
    outputs = answer()
    (latent,) = outputs.latents
    unknown = Unknown(latent.posterior.loc, latent.posterior.log_scale)
    return outputs.replace(latents=(latent.replace(posterior=unknown),))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (miwae(SAMPLES), lambda *args: {"bound": sum(elbo(*args).values())}),
        (miwae(1), importance_weighted.iwae),
        (ciwae(0.0), importance_weighted.iwae),
        (ciwae(1.0), lambda *args: {"bound": sum(elbo(*args).values())}),
        (ciwae(0.3), lambda *args: {"bound": 0.3 * miwae(SAMPLES)(*args)["bound"] + 0.7 * miwae(1)(*args)["bound"]}),
    ],
    ids=["miwae(M,1)=elbo", "miwae(1,K)=iwae", "ciwae(0)=iwae", "ciwae(1)=elbo", "ciwae"],
)
def test_bounds_that_are_equal(one, other):
    outputs = sampled()
    np.testing.assert_allclose(one(outputs, BATCH)["bound"], other(outputs, BATCH)["bound"], rtol=1e-5)


def test_bounds_by_hand():
    log_w = np.asarray(log_weights(answer(), BATCH), float)
    groups = np.log(np.exp(log_w).reshape(2, 3, 3).mean(axis=1)).mean(axis=0)
    np.testing.assert_allclose(miwae(2)(answer(), BATCH)["bound"], -groups, rtol=1e-5)
    exact = linear_gaussian.log_p(X)
    # With the exact posterior every weight is p(x).
    np.testing.assert_allclose(log_weights(answer(variables=EXACT), BATCH), np.tile(exact, (SAMPLES, 1)), rtol=1e-5)


def test_of_the_same_draws_all_together_bound_no_worse_than_their_halves():
    for key in range(5):
        outputs = answer(samples=8, key=key)
        halves, whole = (miwae(groups)(outputs, BATCH)["bound"] for groups in (2, 1))
        assert (halves > whole).all() and (miwae(8)(outputs, BATCH)["bound"] > halves).all()
    exact = answer(variables=EXACT)
    np.testing.assert_allclose(miwae(2)(exact, BATCH)["bound"], miwae(1)(exact, BATCH)["bound"], rtol=1e-5)


OBJECTIVES = {
    "iwae": importance_weighted.iwae,
    "miwae": miwae(2),
    "piwae": functools.partial(piwae, groups=2),
    "stl": stl,
    "dreg": dreg,
}


@functools.cache
def compiled_step(name):
    return jax.jit(make_train_step(MODEL, OBJECTIVES[name], optax.sgd(1.0), num_samples=SAMPLES))


def gradients(name, variables=AWAY, key=0):
    """{module: gradient of its player's terms}, by one step of the trainer, with learning rate 1."""
    terms = players.by_player(OBJECTIVES[name](answer(), BATCH))
    hparams = make_hparams({term: 1.0 for names in terms.values() for term in names})
    params, opt_state = variables["params"], optax.sgd(1.0).init(variables["params"])
    state = TrainState(jnp.int32(0), params, None, {}, opt_state, jax.random.key(key), jnp.int32(0))
    moved, _ = compiled_step(name)(state, BATCH, hparams)
    return jax.tree.map(lambda old, new: np.asarray(old - new), params, moved.params)


def assert_same(one, other):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=2e-6), one, other)


def test_piwae_moves_the_encoder_as_miwae_and_the_decoder_as_iwae():
    both = gradients("piwae")
    assert_same(both["q_z"], gradients("miwae")["q_z"])
    assert_same(both["decoder"], gradients("iwae")["decoder"])
    assert np.abs(both["q_z"]["z_mean"]["bias"] - gradients("iwae")["q_z"]["z_mean"]["bias"]).max() > 1e-2


@pytest.mark.parametrize("objective", ["stl", "dreg", "piwae"])
def test_the_gradient_of_the_decoder_and_of_a_learned_prior_is_the_ordinary_one(objective):
    assert_same(gradients(objective)["decoder"], gradients("iwae")["decoder"])
    model = MODEL.clone(prior=functools.partial(mixture.Prior, components=3))
    made = model.init({"params": jax.random.key(2), "latent": jax.random.key(0)}, BATCH)
    variables = {"params": {**AWAY["params"], "p_z": made["params"]["p_z"]}}
    for module in ("p_z", "decoder"):
        found, ordinary = (
            gradient_by(model, variables, OBJECTIVES[name], module, SAMPLES, BATCH, jax.random.key(3))
            for name in (objective, "iwae")
        )
        assert np.abs(ordinary).max() > 1e-2
        np.testing.assert_allclose(found, ordinary, atol=2e-6)


@pytest.mark.parametrize("objective", ["stl", "dreg"])
def test_with_the_exact_posterior_the_encoders_gradient_vanishes_for_every_draw(objective):
    for key in range(3):
        found = gradients(objective, EXACT, key=key)["q_z"]
        assert max(np.abs(leaf).max() for leaf in jax.tree.leaves(found)) < 1e-4
    assert np.abs(gradients("iwae", EXACT)["q_z"]["z_log_sigma"]).max() > 1e-2


def test_dreg_is_unbiased_for_any_number_of_samples_and_stl_for_one():
    assert_same_in_the_mean(MODEL, AWAY, BATCH, dreg, importance_weighted.iwae, "q_z", samples=3)
    assert_same_in_the_mean(MODEL, AWAY, BATCH, stl, elbo, "q_z", samples=1)
    with pytest.raises(AssertionError):
        assert_same_in_the_mean(MODEL, AWAY, BATCH, stl, importance_weighted.iwae, "q_z", samples=3)


def test_mistakes_are_explained():
    with pytest.raises(UserError, match="objective.groups=4 .* objective.num_samples=6\n.*1, 2, 3, 6"):
        miwae(4)(answer(), BATCH)
    model = ae.Model(linear_gaussian.SPEC, mlp.Encoder(()), mlp.Decoder(()), MODEL.likelihood, latent_dim=2)
    outputs = model.init_with_output(jax.random.key(0), BATCH)[0]
    with pytest.raises(UserError, match="random latent.*\n.*objective.name=reconstruction"):
        importance_weighted.iwae(outputs, BATCH)


def test_the_schedule_of_burda_and_others():
    """1e-3 10^(-i/7) for 3^i epochs of 3,000 steps, i = 0 .. 7."""
    config = iwae.get_config("")
    rate = schedules.parse(config.optimizer.learning_rate)
    assert config.train.epochs == sum(3**i for i in range(8)) == 3280
    for i in range(8):
        first, last = (3000 * (3**j - 1) // 2 for j in (i, i + 1))
        np.testing.assert_allclose([rate(first), rate(last - 1)], 1e-3 * 10 ** (-i / 7), rtol=1e-5)


@pytest.mark.parametrize("objective", ["elbo", "iwae", "miwae", "piwae", "ciwae", "stl", "dreg"])
@pytest.mark.parametrize("layers", [1, 2])
def test_the_config_weighs_every_term_of_every_objective(objective, layers):
    built = experiment.build(iwae.get_config(f"smoke,objective={objective},k=8,layers={layers}"))
    batch, shapes = built.example(built.config.train.batch_size), built.state_shapes()
    _, metrics = jax.eval_shape(built.step, shapes, batch, built.hparams)
    assert set(built.hparams["weights"]) == metrics.keys() - {"loss", "gradient_norm"}


def test_the_number_of_groups_is_fixed_and_beta_varies():
    config = vae.get_config("smoke")
    config.objective.update(name="piwae", groups=2, num_samples=4)
    config.weights = {"encoder_bound": 1.0, "decoder_bound": 1.0}
    experiment.build(config).check()
    config.objective = dict(name="ciwae", beta="linear:0:1:10", num_samples=4)
    config.weights = {"bound": 1.0}
    built = experiment.build(config)
    built.check()
    assert schedules.at(built.hparams, 5)["objective"]["beta"] == 0.5
