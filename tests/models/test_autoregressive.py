"""Autoregressive models: causal, normalised, and the same step by step as all at once."""

import functools
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ae_jax.core.errors import UserError
from ae_jax.core.types import DataSpec
from ae_jax.models import autoregressive, pixelcnn, transformer

KEY = jax.random.key(0)
KINDS = {
    "transformer": functools.partial(transformer.Model, width=8, layers=2, heads=2),
    "pixelcnn": functools.partial(pixelcnn.Model, width=6, layers=2, kernel=5),
}


@functools.cache
def made(name, shape=(3, 4), levels=3, conditional=False):
    """A model, variables drawn at random, and a batch of two examples."""
    model = KINDS[name](DataSpec(shape, "tokens", levels=levels, classes=2), conditional=conditional)
    x = jax.random.randint(KEY, (2, *shape), 0, levels).astype(jnp.float32)
    batch = {"x": x, "inputs": x, "mask": jnp.ones(2), "label": jnp.arange(2)}
    params = jax.jit(model.init)(KEY, batch)["params"]
    leaves, tree = jax.tree.flatten(params)
    drawn = [0.5 * jax.random.normal(jax.random.fold_in(KEY, i), leaf.shape) for i, leaf in enumerate(leaves)]
    return model, {"params": jax.tree.unflatten(tree, drawn)}, batch


@functools.partial(jax.jit, static_argnums=0)
def log_prob(model, variables, x):
    return model.apply(variables, {"x": x, "inputs": x}).likelihood.log_prob(x[None])[0]


@pytest.mark.parametrize("name", KINDS)
def test_a_logit_depends_on_all_tokens_before_it_and_on_no_other(name):
    model, variables, _ = made(name)
    network, size = model.bind(variables).network.unbind()[0], model.length
    inner = {"params": variables["params"]["network"]}
    tokens = jax.nn.one_hot(jax.random.randint(KEY, (1, size), 0, 3), 3)
    jacobian = jax.jit(jax.jacobian(lambda tokens: network.apply(inner, tokens)[0]))(tokens)[:, :, 0]
    depends = np.abs(jacobian).max(axis=(1, 3)) > 0
    later = np.triu(np.ones((size, size), bool))
    assert not depends[later].any()
    # Within its reach, a place misses nothing: the neighbours above and to the left in particular.
    assert depends[5, [0, 1, 2, 3, 4]].all()


@pytest.mark.parametrize("name", KINDS)
def test_the_probabilities_of_all_sequences_add_up_to_one(name):
    model, variables, _ = made(name, (1, 3))
    every = np.float32(list(itertools.product(range(3), repeat=3))).reshape(27, 1, 3)
    assert np.exp(log_prob(model, variables, every)).sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("name", KINDS)
def test_before_training_all_tokens_are_equally_probable(name):
    model, _, batch = made(name)
    found = log_prob(model, jax.jit(model.init)(KEY, batch), batch["x"])
    np.testing.assert_allclose(found, -12 * math.log(3), rtol=1e-5)


@pytest.mark.parametrize("name", KINDS)
def test_step_by_step_the_logits_are_those_of_all_places_at_once(name):
    model, variables, batch = made(name, conditional=True)
    network, inner = model.bind(variables).network.unbind()[0], {"params": variables["params"]["network"]}
    tokens = jax.nn.one_hot(batch["x"].reshape(2, -1).astype(int), 3)
    label = jax.nn.one_hot(batch["label"], 2)
    apply = jax.jit(network.apply)
    whole = apply(inner, tokens, label)
    state, before = network.apply(inner, 2, method="begin"), jnp.zeros((2, 3))
    step = jax.jit(functools.partial(network.apply, method="step"))
    for place in range(model.length):
        state, logits = step(inner, state, before, place, label)
        np.testing.assert_allclose(logits, whole[:, place], atol=1e-5)
        before = tokens[:, place]
    assert np.abs(whole - apply(inner, tokens, label[::-1])).max() > 1e-3


@pytest.mark.parametrize("name", KINDS)
def test_draws_have_the_probabilities_that_the_model_states(name):
    model, variables, _ = made(name, (1, 2))
    count = 4000
    drawn = jax.jit(lambda key: model.apply(variables, {"mask": jnp.ones(count)}, method="draw", rngs={"latent": key}))(
        KEY
    )
    shares = np.bincount((drawn.reshape(count, 2) @ np.float32([3, 1])).astype(int), minlength=9) / count
    every = np.float32(list(itertools.product(range(3), repeat=2))).reshape(9, 1, 2)
    expected = np.exp(log_prob(model, variables, every))
    assert np.abs(shares - expected).max() < 4 * math.sqrt(0.25 / count)


def test_temperature_and_top_k_change_the_logits_that_tokens_are_drawn_from():
    logits = jnp.float32([[1.0, 3.0, 2.0]])
    np.testing.assert_allclose(autoregressive.tempered(logits, 0.5, 0), [[2, 6, 4]])
    np.testing.assert_array_equal(autoregressive.tempered(logits, 1.0, 2), [[-np.inf, 3, 2]])


def test_binary_pixels_are_modelled_too():
    model = KINDS["pixelcnn"](DataSpec((2, 2, 1)))
    every = np.float32(list(itertools.product(range(2), repeat=4))).reshape(16, 2, 2, 1)
    variables = jax.jit(model.init)(KEY, {"x": every, "inputs": every})
    assert np.exp(log_prob(model, variables, every)).sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    "name, spec, options, message",
    [
        ("pixelcnn", DataSpec((4,), "tokens", levels=3), {}, "transformer"),
        ("pixelcnn", DataSpec((2, 2), "tokens", levels=3), {"kernel": 4}, "model.kernel=4"),
        ("transformer", DataSpec((4,), "tokens", levels=3), {"heads": 3}, "model.heads=3"),
        ("transformer", DataSpec((4,), "tokens", levels=3), {"conditional": True}, "model.conditional=False"),
        ("transformer", DataSpec((4,), "reals"), {}, "data.source=codes"),
    ],
)
def test_what_a_prior_cannot_model_is_refused(name, spec, options, message):
    x = np.zeros((1, *spec.shape), np.float32)
    with pytest.raises(UserError, match=f"(?s).*{message}"):
        KINDS[name](spec, **options).init(KEY, {"x": x, "inputs": x, "mask": np.ones(1)})
