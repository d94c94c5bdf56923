"""The training step and the loop: what they change, what they refuse, and that a part is as good as the whole."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ae_jax.core import reduce
from ae_jax.core.errors import UserError
from ae_jax.core.types import DataSpec
from ae_jax.data.batching import Batches
from ae_jax.models import aae, ae, vae
from ae_jax.models.likelihoods import gaussian
from ae_jax.models.nets import mlp
from ae_jax.models.priors import circle
from ae_jax.objectives.adversarial import adversarial
from ae_jax.objectives.elbo import elbo
from ae_jax.objectives.reconstruction import reconstruction
from ae_jax.training import loop, optim, players
from ae_jax.training.step import make_hparams, make_init, make_train_step

SPEC = DataSpec((4, 4, 1), "reals")
DATA = np.random.default_rng(0).normal(size=(22, *SPEC.shape)).astype(np.float32)
ONES = {"reconstruction": 1.0, "kl": 1.0}
# Small, as it is compiled often; with statistics, as they must be kept and skipped like parameters.
MODEL = vae.Model(
    SPEC,
    encoder=mlp.Encoder(hidden=()),
    decoder=mlp.Decoder(hidden=()),
    likelihood=functools.partial(gaussian.Likelihood, scale="optimal"),
)


def tx(learning_rate):
    return optax.adam(learning_rate)


def a_batch(data=DATA, step=0):
    source = Batches({"x": data}, SPEC, 8).on_device()
    return source.take(source.arrays, jnp.int32(step))


def plain(state):
    """The state's arrays as bytes, so that NaN equals itself and -0 differs from 0."""
    state = state.replace(key=jax.random.key_data(state.key))
    return {jax.tree_util.keystr(path): np.asarray(leaf).tobytes() for path, leaf in jax.tree.leaves_with_path(state)}


def numbers(weights=ONES, ema=0.9, learning_rate=1e-2):
    return make_hparams(weights, optimizer={"learning_rate": learning_rate}, ema=ema)


INIT = jax.jit(lambda key: make_init(MODEL, tx, ema=True)(key, a_batch(), numbers()))


def begin(seed=0, **options):
    """(state, hparams), always fresh: `fit` donates the state it is given."""
    return INIT(jax.random.key(seed)), numbers(**options)


STEP = make_train_step(MODEL, elbo, tx)
COMPILED = jax.jit(STEP)


def fit(state, hparams, steps, data=DATA, **options):
    return loop.fit(state, Batches({"x": data}, SPEC, 8), STEP, hparams, steps=steps, **options)


def test_eight_examples_overfit():
    spec = DataSpec((8, 8, 1), levels=2)
    x = np.random.default_rng(0).integers(0, 2, (8, *spec.shape), np.uint8)
    model = ae.Model(spec, encoder=mlp.Encoder((64,)), decoder=mlp.Decoder((64,)), latent_dim=8)
    batches, tx = Batches({"x": x}, spec, 8), optax.adam(1e-2)
    hparams = make_hparams({"reconstruction": 1.0})
    init = jax.jit(make_init(model, tx))
    state = init(jax.random.key(0), batches.take(batches.on_device().arrays, 0), hparams)
    step, losses = make_train_step(model, reconstruction, tx), []
    hook = lambda step, state, metrics: losses.append(metrics["loss"])
    loop.fit(state, batches, step, hparams, steps=300, hooks=[(1, hook)])
    assert losses[0] == pytest.approx(64 * math.log(2), rel=0.3)
    assert losses[-1] < 0.5


def test_parts_equal_the_whole_to_the_bit():
    called = []
    stop = lambda step, state, metrics: called.append(step) or step >= 12
    whole, _ = fit(*begin(), 30)
    part, _ = fit(*begin(), 30, hooks=[(6, stop)])
    assert called == [6, 12] and int(part.step) == 12
    assert plain(fit(part, numbers(), 30)[0]) == plain(whole)
    assert plain(begin()[0]) == plain(begin()[0]) != plain(begin(seed=1)[0])


def test_the_loop_makes_the_steps_and_its_hooks_get_the_means():
    state, hparams = begin()
    source = Batches({"x": DATA}, SPEC, 8).on_device()
    order = jax.random.fold_in(state.key, jnp.uint32(2**32 - 1))
    losses, calls = [], []
    for step in range(11):
        state, metrics = COMPILED(state, source.take(source.arrays, jnp.int32(step), order), hparams)
        losses.append(metrics["loss"])
    hook = lambda step, state, metrics: calls.append((step, int(state.step), metrics["loss"]))
    looped, metrics = fit(*begin(), 11, hooks=[(4, hook), (6, hook), (4, hook)])
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-3, atol=1e-5), looped.params, state.params)
    assert set(metrics) == {"loss", "reconstruction", "kl", "gradient_norm"}
    steps = [4, 6, 8, 11]
    assert [call[:2] for call in calls] == [(step, step) for step in steps]
    expected = [np.mean(losses[start:end]) for start, end in zip([0, *steps[:-1]], steps, strict=True)]
    np.testing.assert_allclose([loss for _, _, loss in calls], expected, rtol=1e-4)


def test_the_second_call_does_not_compile():
    compiled, at_hooks = [], []
    listen = lambda event, seconds, **_: compiled.append(event) if "backend_compile" in event else None
    jax.monitoring.register_event_duration_secs_listener(listen)
    # Windows of 3, 2, 1, 3, 1 steps.
    hook = lambda step, state, metrics: at_hooks.append(len(compiled))
    fit(*begin(), 10, hooks=[(3, hook), (5, hook)])
    assert at_hooks[0] > 0 and len(set(at_hooks)) == 1 and len(at_hooks) == 5
    state, _ = begin()
    COMPILED(state, a_batch(), numbers())
    programs = COMPILED._cache_size()
    COMPILED(state.replace(step=jnp.int32(7)), a_batch(step=1), numbers({"reconstruction": 3, "kl": 0}, 0.5, 1e-3))
    assert COMPILED._cache_size() == programs


def test_terms_are_weighted_by_schedules_over_the_examples_there_are():
    state, hparams = begin(weights={"reconstruction": 2.0, "kl": "linear:0:1:10"})
    last = a_batch(step=2)
    assert last["mask"].sum() == 6
    for step, weight in ((0, 0.0), (5, 0.5), (20, 1.0)):
        _, metrics = COMPILED(state.replace(step=jnp.int32(step)), last, hparams)
        expected = 2 * metrics["reconstruction"] + weight * metrics["kl"]
        np.testing.assert_allclose(metrics["loss"], expected, rtol=1e-5)
    clean, _ = COMPILED(state, last, hparams)
    padding = jnp.where(last["mask"] > 0, 1, 7)[:, None, None, None]
    other, _ = COMPILED(state, {**last, "x": last["x"] * padding}, hparams)
    assert plain(clean) == plain(other)


@pytest.mark.parametrize(
    ("weights", "message"),
    [({"reconstruction": 1.0}, "'kl' has no weight"), ({**ONES, "lk": 1.0}, "unknown config key 'weights.lk'")],
)
def test_every_term_has_a_weight_and_every_weight_a_term(weights, message):
    with pytest.raises(UserError, match=message):
        jax.eval_shape(STEP, begin()[0], a_batch(), numbers(weights))


def test_the_average_of_the_parameters_is_numpys():
    state, hparams = begin(ema=0.25)
    average = jax.tree.map(np.asarray, state.params)
    for step in range(5):
        state, _ = COMPILED(state, a_batch(step=step), hparams)
        decay = min(0.25, (1 + step) / (10 + step))
        average = jax.tree.map(lambda old, new, d=decay: d * old + (1 - d) * np.asarray(new), average, state.params)
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-7), state.ema, average)


# --- a batch in pieces ------------------------------------------------------------------------------------------------


def test_pieces_add_up_to_the_batch_whatever_of_it_is_padding():
    model, sgd = ae.Model(SPEC, mlp.Encoder((8,)), mlp.Decoder((8,)), gaussian.Likelihood, latent_dim=2), optax.sgd(0.1)
    hparams, last = make_hparams({"reconstruction": 1.0}), a_batch(step=2)
    last["mask"] = jnp.array([1.0, 0, 1, 1, 1, 1, 0, 0])  # of four pieces {0, 4} to {3, 7}, uneven shares
    state = jax.jit(make_init(model, sgd))(jax.random.key(0), last, hparams)
    step = lambda pieces: jax.jit(make_train_step(model, reconstruction, sgd, pieces=pieces))
    (whole, metrics), (parts, of_parts) = (step(number)(state, last, hparams) for number in (1, 4))
    assert metrics.keys() == of_parts.keys()
    close = functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-7)
    jax.tree.map(close, (parts.params, of_parts), (whole.params, metrics))
    assert not any(jax.tree.leaves(jax.tree.map(np.array_equal, state.params, whole.params)))


def test_a_piece_that_is_padding_alone_changes_nothing():
    state, hparams = begin()
    last = {**a_batch(), "mask": jnp.array([1.0, 0, 1, 0, 0, 0, 0, 0])}  # of four pieces, two have an example each
    new, metrics = jax.jit(make_train_step(MODEL, elbo, tx, pieces=4))(state, last, hparams)
    assert new.extra["statistics"]["p_x"]["weight"] == pytest.approx(1 - 0.99**2)
    assert np.isfinite(metrics["loss"]) and not new.bad_steps


def test_statistics_go_from_piece_to_piece_and_noise_is_drawn_for_each():
    state, hparams = begin()
    half = {name: values[:4] for name, values in a_batch().items()}
    twice = {name: np.repeat(values, 2, axis=0) for name, values in half.items()}  # both pieces hold the same examples
    new, metrics = jax.jit(make_train_step(MODEL, elbo, tx, pieces=2))(state, twice, hparams)
    assert new.extra["statistics"]["p_x"]["weight"] == pytest.approx(1 - 0.99**2)
    _, one = COMPILED(state, half, hparams)
    np.testing.assert_allclose(metrics["kl"], one["kl"], rtol=1e-5)  # in closed form, hence the same
    assert abs(metrics["reconstruction"] - one["reconstruction"]) > 1e-4


# --- what is not finite -----------------------------------------------------------------------------------------------

SPOILT = np.where(np.arange(22)[:, None, None, None] == 5, np.nan, DATA)


def test_a_step_that_is_not_finite_changes_its_numbers_only():
    state, hparams = begin()
    state, _ = COMPILED(state, a_batch(), hparams)
    for bad in (1, 2):
        after, metrics = COMPILED(state, a_batch(SPOILT), hparams)
        assert math.isnan(metrics["loss"])
        assert (after.step, after.bad_steps) == (1 + bad, bad)
        assert plain(after.replace(step=state.step, bad_steps=state.bad_steps)) == plain(state)
        state = after
    state, _ = COMPILED(state, a_batch(), hparams)
    assert (state.step, state.bad_steps) == (4, 0)


def test_fit_skips_what_is_not_finite_and_says_so():
    state, metrics = fit(*begin(), 9, data=SPOILT)  # one batch in each of three epochs
    assert metrics.pop("skipped") == 3 and int(state.step) == 9
    assert all(map(math.isfinite, metrics.values()))


def test_fit_gives_up_after_so_many_and_names_the_terms():
    with pytest.raises(loop.NonFiniteError, match="4 non-finite steps in a row up to step 4.*reconstruction") as error:
        fit(*begin(weights={"reconstruction": 1.0, "kl": 0.0}), 50, data=DATA * np.float32(1e30), max_bad_steps=4)
    assert error.value.step == error.value.bad_steps == 4
    assert "reconstruction" in error.value.terms and "loss" in error.value.terms


# --- optimisers -------------------------------------------------------------------------------------------------------

# L-BFGS searches along a line, for which it needs the loss as a function.
_ALONE = sorted(set(optim.names()) - {"lbfgs"})


@pytest.mark.parametrize("name", _ALONE)
def test_every_optimizer_makes_a_step(name):
    options = {"noisy_sgd": {"key": 0}}.get(name, {})
    make, numbers = optim.make_tx({"name": name, "learning_rate": 0.1, "clip": None, **options})
    assert numbers == {"learning_rate": 0.1}
    params = {"w": jnp.arange(1.0, 7.0).reshape(2, 3), "b": jnp.ones(3)}

    @jax.jit
    def step(numbers):
        tx, state, now = make(**numbers), make(**numbers).init(params), params
        for _ in range(2):  # some move only when they have seen two gradients
            updates, state = tx.update(now, state, now)
            now = optax.apply_updates(now, updates)
        return now

    slow, fast = step({"learning_rate": 0.1}), step({"learning_rate": 0.2})
    for before, one, two in zip(*map(jax.tree.leaves, (params, slow, fast)), strict=True):
        assert jnp.isfinite(one).all() and (one != before).any() and (one != two).any()


def test_gradients_are_clipped_to_their_norm():
    gradient = {"a": jnp.array([3.0, 0.0]), "b": jnp.array([4.0])}
    for clip, factor in ((2.5, 0.5), (10.0, 1.0), (None, 1.0)):
        make, numbers = optim.make_tx({"name": "sgd", "learning_rate": 1, "clip": clip})
        updates, _ = make(**numbers).update(gradient, make(**numbers).init(gradient))
        jax.tree.map(lambda u, g, f=factor: np.testing.assert_allclose(u, -f * g, rtol=1e-6), updates, gradient)


def test_numbers_vary_and_words_are_fixed():
    section = {"name": "adamw", "learning_rate": 1, "b1": 0.8, "weight_decay": 1, "nesterov": True, "eps": None}
    make, numbers = optim.make_tx(section)
    assert numbers == {"learning_rate": 1, "b1": 0.8, "weight_decay": 1}
    params = jnp.array([1.0, -2.0])
    ours, theirs = (make(**numbers), optax.adamw(1, b1=0.8, weight_decay=1, nesterov=True))
    expected, _ = theirs.update(params, theirs.init(params), params)
    np.testing.assert_allclose(ours.update(params, ours.init(params), params)[0], expected, rtol=1e-6)


def test_players_have_the_numbers_of_their_own_section_and_else_those_of_all():
    section = {"name": "sgd", "learning_rate": 0.1, "clip": 1.0, "players": {"critic": {"learning_rate": 0.5}}}
    section["players"]["prior"] = {"name": "adam", "b1": 0.3, "clip": None}
    make, numbers = optim.make_tx(section)
    gradient = {name: {"w": jnp.array([3.0, 4.0])} for name in ("critic", "encoder", "prior")}
    updates, _ = make(**numbers).update(gradient, make(**numbers).init(gradient), gradient)
    np.testing.assert_allclose(updates["critic"]["w"], [-0.5 * 0.6, -0.5 * 0.8], rtol=1e-6)
    np.testing.assert_allclose(updates["encoder"]["w"], [-0.1 * 0.6, -0.1 * 0.8], rtol=1e-6)
    np.testing.assert_allclose(updates["prior"]["w"], [-0.1, -0.1], rtol=1e-4)  # Adam's first step is of unit size
    assert numbers["players"]["prior"] == {"learning_rate": 0.1, "b1": 0.3}


def test_the_critic_is_moved_by_its_own_learning_rate():
    """By a schedule that begins at zero, while the others move."""
    model = aae.Model(SPEC, mlp.Encoder((8,)), mlp.Decoder((8,)), critic_hidden=(8,))
    players = {"critic": {"learning_rate": "linear:0:8:8"}}
    make, optimizer = optim.make_tx({"name": "sgd", "learning_rate": 0.1, "players": players})
    hparams = make_hparams({"reconstruction": 1.0, "generator": 1.0, "critic": 1.0}, optimizer=optimizer)
    state = make_init(model, make)(jax.random.key(0), a_batch(), hparams)
    step = jax.jit(make_train_step(model, adversarial, make))
    for number, moves in ((0, False), (2, True)):
        new, _ = step(state.replace(step=jnp.int32(number)), a_batch(), hparams)
        changed = jax.tree.map(lambda a, b: bool((a != b).any()), state.params, new.params)
        assert any(jax.tree.leaves(changed["critic"])) == moves and any(jax.tree.leaves(changed["encoder"]))


def test_masked_mean_of_nothing_is_nothing():
    assert reduce.masked_mean(jnp.ones(3), jnp.zeros(3)) == 0


def test_the_critic_sees_of_a_labelled_draw_the_mode_that_it_is_of():
    """Of ten modes on a circle 4 away, 0.5 wide; as many draws go without their mode as examples without a label."""
    spec = DataSpec((6,), "reals", classes=10)
    model = aae.Model(
        spec, mlp.Encoder((8,)), mlp.Decoder((8,)), gaussian.Likelihood, prior=circle.Prior, labelled=True
    )
    label = np.random.default_rng(0).integers(-1, 10, 500)
    batch = {"inputs": np.zeros((500, 6), np.float32), "label": label, "mask": np.ones(500, np.float32)}
    keys = dict(zip(("params", "sampling", "latent"), jax.random.split(jax.random.key(1), 3)))
    variables = model.init(keys, {**batch, "x": batch["inputs"]})
    draws, of_draws, of_codes = model.apply(variables, batch, method="_draw", rngs=keys)
    known, angle = label >= 0, 2 * np.pi * np.arange(10) / 10
    nearest = (
        np.square(np.asarray(draws)[:, None] - 4 * np.stack([np.cos(angle), np.sin(angle)], axis=1))
        .sum(axis=2)
        .argmin(axis=1)
    )
    np.testing.assert_array_equal(of_codes, np.eye(11)[np.where(known, label, 10)])
    np.testing.assert_array_equal(np.argmax(of_draws, axis=1) == 10, ~known)
    assert np.mean(np.argmax(of_draws, axis=1)[known] == nearest[known]) > 0.95  # neighbours are 2.5 spreads apart
    assert np.unique(nearest).size == 10


@pytest.mark.parametrize("player", ["autoencoder", "critic"])
def test_a_players_step_leaves_the_others_parameters_untouched(player):
    """With the weights of the other's terms zero, a player's own modules move, and only they."""
    model = aae.Model(SPEC, mlp.Encoder((8,)), mlp.Decoder((8,)), critic_hidden=(8,))
    terms = {"autoencoder": ("reconstruction", "generator"), "critic": ("critic",)}
    weights = {name: float(owner == player) for owner, names in terms.items() for name in names}
    hparams, sgd = make_hparams(weights), optax.sgd(0.1)
    state = make_init(model, sgd)(jax.random.key(0), a_batch(), hparams)
    new, _ = jax.jit(make_train_step(model, adversarial, sgd))(state, a_batch(), hparams)
    changed = jax.tree.map(lambda a, b: bool((a != b).any()), state.params, new.params)
    for module, leaves in changed.items():
        assert any(jax.tree.leaves(leaves)) == (players.owner(module, list(terms)) == player), module
