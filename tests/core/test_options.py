"""The one rule for options: what is a constant, what is traced, and that numbers and schedules share one program."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ae_jax.core import forms, options, schedules
from ae_jax.core.errors import UnknownKey, UserError
from ae_jax.core.types import DataSpec
from ae_jax.data import corruptions
from ae_jax.experiments import configuration, experiment, resolved
from ae_jax.sweeps.plan import group_key
from ae_jax.training import optim
from ae_jax.training.step import make_hparams

# Zero is outside the range of these; every other number may be zero.
NEVER_ZERO = {"target"}
# Arguments of Optax that are no real numbers: types, masks, seeds, flags, counts, and functions.
NO_NUMBERS = {"mu_dtype", "accumulator_dtype", "dtype_momentum", "mask", "weight_decay_mask", "trust_ratio_mask"}
NO_NUMBERS |= {"key", "seed", "linesearch", "memory_size", "scale_init_precond", "min_dim_size_to_factor"}
NO_NUMBERS |= {"decay_offset", "nesterov", "factored", "multiply_by_parameter_scale", "eps_in_sqrt", "centered"}
NO_NUMBERS |= {"bias_correction", "bias_correction_mu", "bias_correction_nu"}
# L-BFGS searches along a line, for which it needs the loss as a function.
OPTIMIZERS = sorted(set(optim.names()) - {"lbfgs"})


# --- the rule ---------------------------------------------------------------------------------------------------------


def example(
    first,
    *,
    word="sum",
    flag=False,
    count=2,
    sizes=(1, 2),
    number=0.5,
    whole_number: float = 1,
    optional: float | None = None,
    optional_count: int | None = None,
    several: "tuple[int, ...]" = None,
    anything=None,
    key=None,
):
    """An objective or a corruption with an option of each kind."""


@pytest.mark.parametrize("name", ["word", "flag", "count", "sizes", "optional_count", "several", "key"])
def test_words_flags_counts_and_sizes_are_constants(name):
    parameter = options.of(example)[name]
    for value in (0, 0.5, "linear:0:1:10"):
        assert options.is_constant(parameter, value)


@pytest.mark.parametrize("name", ["number", "whole_number", "optional"])
def test_real_numbers_are_traced_whatever_their_value(name):
    parameter = options.of(example)[name]
    for value in (0, 1, 0.5, "linear:0:1:10", "optax.constant_schedule(value=1.0)"):
        assert not options.is_constant(parameter, value)


def test_where_the_signature_says_nothing_the_value_decides():
    parameter = options.of(example)["anything"]
    constant = {value: options.is_constant(parameter, value) for value in (0.5, 3, "sigmoid:9", "float32", True, "a:b")}
    assert constant == {0.5: False, 3: False, "sigmoid:9": False, "float32": True, True: True, "a:b": True}


def test_options_are_split_and_those_that_are_none_left_out():
    given = {"word": "mean", "count": 3, "number": 0, "optional": "sigmoid:5", "anything": None, "sizes": None}
    found = options.resolve(example, given, "objective", "objective 'example'", skip=("first",))
    assert found == options.Options({"word": "mean", "count": 3}, {"number": 0, "optional": "sigmoid:5"})


@pytest.mark.parametrize(
    "given, says",
    [
        ({"nubmer": 1}, "unknown config key 'objective.nubmer'; did you mean 'objective.number'"),
        ({"first": 1}, "unknown config key 'objective.first'"),
        ({"nmae": 1}, "did you mean 'objective.name'"),
        ({"count": 2.5}, "'objective.count' is 2.5\nexpected a whole number"),
        ({"count": True}, "expected a whole number"),
        ({"flag": "yes"}, "expected true or false"),
        ({"word": 3}, "'objective.word' is 3\nexpected text"),
        ({"sizes": (1, 0.5)}, "objective.sizes"),
        ({"number": "lineal:0:1:10"}, "config key 'objective.number': .*\n.*linear:FROM:TO:STEPS"),
        ({"number": float("nan")}, "expected a number, or a schedule"),
    ],
)
def test_a_wrong_option_is_named(given, says):
    with pytest.raises(UserError, match=says) as caught:
        options.resolve(example, given, "objective", "objective 'example'", skip=("first",), also=("name",))
    assert len(str(caught.value).splitlines()) == 2


def test_limits_are_those_of_the_annotation():
    form = options.form_of(options.of(resolved.objective("sparse_kl"))["target"])
    for value, allowed in ((0, False), (1e-3, True), (1, False), (-1, False)):
        if allowed:
            forms.check("objective.target", value, form)
        else:
            with pytest.raises(UserError, match="objective.target.*\nexpected a number of above 0 and below 1"):
                forms.check("objective.target", value, form)


def test_a_function_that_takes_any_keyword_is_given_all():
    def takes_any(outputs, batch, **more):
        """Return nothing."""

    found = options.resolve(takes_any, {"a": 1, "b": "word"}, "objective", "", skip=("outputs", "batch"))
    assert found == options.Options({"b": "word"}, {"a": 1})
    with pytest.raises(UnknownKey):
        options.resolve(example, {"a": 1}, "objective", "")


# --- one program ------------------------------------------------------------------------------------------------------

PIXELS = DataSpec((8, 8, 1), classes=10, levels=17)
MELODIES = DataSpec((32,), "events", 5, 90)


def real_numbers(function, skip=()):
    """The options of a function that are real numbers, by what is known of them and not by the rule."""
    return [name for name in inspect.signature(function).parameters if name not in {*skip, *NO_NUMBERS}]


def values_of(name):
    """Three values inside the range of a number, zero where it is allowed, and schedules of two kinds."""
    return [0.2, 0.3, 0.4, *([] if name in NEVER_ZERO else [0]), "linear:0.2:0.4:20", "cosine:0.3:0.2:7"]


def assert_one_program(text, spec, section, base, names, weights=None):
    """Whatever value each number has in turn: one text in the plan of a sweep, and one trace of a training step."""
    assert names
    config, programs, traced = configuration.load(text), set(), []
    with config.unlocked():
        config.weights = weights or config.weights
    for name in names:
        for value in values_of(name):
            with config.unlocked():
                config[section] = {**base, **dict.fromkeys(names, 0.25), name: value}
            built = experiment.build(config, spec)
            programs.add(group_key(config))
            if not traced:
                step, state, batch = built.step, built.state_shapes(), built.example(8)
                compiled = jax.jit(lambda *arguments, step=step: traced.append(arguments) or step(*arguments))
            compiled.trace(state, batch, built.hparams)
    assert len(programs) == len(traced) == 1


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_all_numbers_of_an_optimizer_share_one_program(name):
    base = {"name": name, "clip": 1.0, **({"key": 0} if name == "noisy_sgd" else {})}
    names = ["clip", *real_numbers(optim.find(name))]
    assert_one_program("configs/vae.py:smoke", PIXELS, "optimizer", base, names)


def test_all_numbers_of_a_player_share_one_program():
    base = configuration.load("configs/aae.py:smoke").optimizer.to_dict()
    config, programs = configuration.load("configs/aae.py:smoke"), set()
    for value in values_of("b1"):
        with config.unlocked():
            config.optimizer = {**base, "players": {"critic": {"b1": value}}}
        programs.add(group_key(config))
    assert len(programs) == 1


OBJECTIVES = {"elbo": ("reconstruction", "kl"), "ciwae": ("bound",), "sparse_kl": ("reconstruction", "sparsity")}


@pytest.mark.parametrize("name", OBJECTIVES)
def test_all_numbers_of_an_objective_share_one_program(name):
    names = real_numbers(resolved.objective(name), ("outputs", "batch", "free_bits_on"))
    text = "configs/sparse_ae.py:smoke,kl" if name == "sparse_kl" else "configs/vae.py:smoke"
    base = {"name": name, "num_samples": 2}
    assert_one_program(text, PIXELS, "objective", base, names, weights=dict.fromkeys(OBJECTIVES[name], 1.0))


@pytest.mark.parametrize("name", ["gaussian", "salt_and_pepper", "masking", "box"])
def test_all_numbers_of_a_corruption_share_one_program(name):
    names = real_numbers(corruptions.function(name), ("x",))
    assert_one_program("configs/ae.py:smoke", PIXELS, "corruption", {"name": name, "clip": True}, names)


def test_all_numbers_that_a_model_reads_share_one_program():
    base = configuration.load("configs/music_vae_2bar.py:smoke").model.to_dict()
    assert_one_program("configs/music_vae_2bar.py:smoke", MELODIES, "model", base, ["sampling"])


def test_weights_and_the_average_share_one_program_too():
    assert_one_program("configs/vae.py:smoke", PIXELS, "weights", {}, ["reconstruction", "kl"])
    config, programs = configuration.load("configs/vae.py:smoke"), set()
    for value in (0.5, 0.9, "linear:0.1:0.9:10"):
        config.train.ema = value
        programs.add(group_key(config))
    assert len(programs) == 1


def test_a_schedule_of_an_argument_of_the_optimizer_is_followed_and_compiled_once():
    """At step 10 of b1=linear:0:0.9:20 Adam makes the update that it makes with b1=0.45."""
    make, numbers = optim.make_tx({"name": "adam", "learning_rate": 0.1, "b1": "linear:0:0.9:20"})
    params, grads = jnp.array([1.0, -2.0]), jnp.array([0.3, 0.1])

    @jax.jit
    def update(numbers, state, step):
        return make(**schedules.at(numbers, step)).update(grads, state, params)

    _, state = optax.adam(0.1).update(-grads, optax.adam(0.1).init(params), params)
    hparams = make_hparams({}, optimizer=numbers)["optimizer"]
    found, _ = update(hparams, (state,), jnp.int32(10))
    expected, _ = optax.adam(0.1, b1=0.45).update(grads, state, params)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    for b1 in (0, 0.5, "cosine:0.9:0:5"):
        _, numbers = optim.make_tx({"name": "adam", "learning_rate": 1, "b1": b1})
        update(make_hparams({}, optimizer=numbers)["optimizer"], (state,), jnp.int32(3))
    assert update._cache_size() == 1
