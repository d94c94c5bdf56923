"""Networks: both forms of a convolution against XLA's own, shapes for any image, and what a config may not ask."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import jax.test_util
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax

from ae_jax.core.errors import UserError
from ae_jax.models.nets import conv, conv_resnet, lowering, recurrent

LAYOUT = ("NHWC", "HWIO", "NHWC")


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def reference(transposed, strides, padding):
    form = lax.conv_transpose if transposed else lax.conv_general_dilated
    return lambda x, kernel: form(x, kernel, strides, padding, dimension_numbers=LAYOUT)


def ours(transposed, strides, padding):
    form = lowering.conv_transpose2d if transposed else lowering.conv2d
    return lambda x, kernel: form(x, kernel, strides, padding)


def value_and_gradients(function, *arguments):
    def both(*arguments):
        value, pull = jax.vjp(function, *arguments)
        return value, *pull(jnp.sin(jnp.arange(value.size)).reshape(value.shape))

    return jax.jit(both)(*arguments)


def assert_close(found, expected):
    """To 1e-5 of the largest number: the order of the additions differs."""
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5 * max(1.0, float(jnp.max(jnp.abs(theirs)))))


GEOMETRY = dict(
    transposed=st.booleans(),
    size=st.tuples(st.integers(5, 9), st.integers(5, 9)),
    kernel=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    strides=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    channels=st.tuples(st.sampled_from([1, 3, 70]), st.sampled_from([1, 2, 5])),
    padding=st.sampled_from(["SAME", "VALID"]),
)


@settings(max_examples=8)
@given(**GEOMETRY)
def test_convolutions_and_their_gradients_are_those_of_xla(transposed, size, kernel, strides, channels, padding):
    x, weights = normal(0, 2, *size, channels[0]), normal(1, *kernel, *channels)
    found, expected = (form(transposed, strides, padding) for form in (ours, reference))
    assert_close(value_and_gradients(found, x, weights), value_and_gradients(expected, x, weights))


@pytest.mark.parametrize("channels", [(3, 2), (2, 3)])
@pytest.mark.parametrize("strides", [(1, 1), (3, 2)])
@pytest.mark.parametrize("transposed", [False, True])
def test_the_form_of_other_platforms_gives_the_same_numbers(monkeypatch, transposed, strides, channels):
    x, weights = normal(0, 2, 7, 9, channels[0]), normal(1, 4, 3, *channels)
    function = ours(transposed, strides, "SAME")
    found = value_and_gradients(function, x, weights)
    monkeypatch.setattr(lax, "platform_dependent", lambda *arrays, cpu, default: default(*arrays))
    assert_close(found, value_and_gradients(function, x, weights))


@pytest.mark.parametrize("strides", [(1, 1), (2, 2)])
@pytest.mark.parametrize("transposed", [False, True])
def test_gradients_of_gradients_and_vmap_over_both_arguments(transposed, strides):
    x, weights = normal(0, 2, 2, 5, 5, 2), normal(1, 2, 3, 3, 2, 3) / 4

    def twice(function):
        def slope(x, weights):
            return sum((g**2).sum() for g in jax.grad(lambda *a: jnp.tanh(function(*a)).sum(), (0, 1))(x, weights))

        return jax.jit(jax.vmap(jax.grad(slope, (0, 1))))(x, weights)

    assert_close(twice(ours(transposed, strides, "SAME")), twice(reference(transposed, strides, "SAME")))


def test_a_compiled_gradient_holds_one_form_and_no_native_convolution():
    function = ours(False, (2, 2), "SAME")
    gradient = jax.jit(jax.grad(lambda x, kernel: function(x, kernel).sum(), (0, 1)), backend="cpu")
    text = gradient.lower(normal(0, 2, 8, 8, 3), normal(1, 4, 4, 3, 5)).compile().as_text()
    assert "convolution(" not in text and "conditional(" not in text


@pytest.mark.parametrize("size, square", [((7, 7), 2), ((8, 5), 3), ((7, 6), 3)])
def test_pooling_and_its_gradient_are_those_of_flax(size, square):
    x, window = normal(0, 2, *size, 3), (square, square)
    pairs = [
        (conv.max_pool, nn.max_pool),
        (conv.average_pool, functools.partial(nn.avg_pool, count_include_pad=False)),
    ]
    for found, expected in pairs:
        found = functools.partial(found, size=square)
        expected = functools.partial(expected, window_shape=window, strides=window, padding="SAME")
        assert_close(value_and_gradients(found, x), value_and_gradients(expected, x))


def count(variables):
    return sum(leaf.size for leaf in jax.tree.leaves(variables))


def shapes(module, *arguments):
    return jax.eval_shape(lambda key: module.init_with_output(key, *arguments), jax.random.key(0))


WORDS = [
    dict(encoder={}, decoder={}),
    dict(encoder=dict(hidden=(), down="max_pool"), decoder=dict(hidden=(), final_kernel=3)),
    dict(encoder=dict(down="average_pool"), decoder=dict(up="nearest", final_kernel=3)),
    dict(encoder=dict(kernel=(5, 3), stride=(1, 3)), decoder=dict(kernel=(5, 3), stride=(1, 3))),
]


@pytest.mark.parametrize("words", WORDS)
@pytest.mark.parametrize("shape", [(28, 28, 1), (8, 8, 1), (32, 32, 3), (25, 25, 1), (7, 10, 2)])
def test_any_image_is_encoded_and_comes_back_in_its_shape(shape, words):
    features, _ = shapes(conv.Encoder(**words["encoder"]), jnp.zeros((2, *shape)))
    assert features.shape[0] == 2 and len(features.shape) == 2
    images, _ = shapes(conv.Decoder(**words["decoder"]), jnp.zeros((2, 3)), shape)
    assert images.shape == (2, *shape)


CODE_FREE = dict(kernel=3, hidden=())
KERAS = dict(channels=(32, 32), **CODE_FREE)
LESSON = dict(channels=(16, 8, 8), **CODE_FREE)


@pytest.mark.parametrize(
    "encoder, decoder, code, parameters",
    [
        # keras.io/examples/vision/autoencoder prints 28,353
        (dict(down="max_pool", **KERAS), dict(project=False, final_kernel=3, **KERAS), 7 * 7 * 32, 28_353),
        # blog.keras.io/building-autoencoders-in-keras: 160 + 1160 + 584, then 584 + 584 + 1168 + 145
        (
            dict(down="max_pool", **LESSON),
            dict(project=False, up="nearest", final_kernel=3, **LESSON),
            4 * 4 * 8,
            4_385,
        ),
        # keras.io/examples/generative/vae, 69,076 and 65,089, here without the two heads of 34
        (dict(kernel=3, hidden=(16,)), dict(kernel=3, hidden=(), final_kernel=3), 2, 69_008 + 65_089),
        # 4x4 stride 2, by hand: 544 + 32,832 + 803,072 and 4,352 + 805,952 + 32,800 + 513 for a code of 16
        ({}, {}, 16, 836_448 + 843_617),
    ],
)
def test_the_nets_of_the_literature_have_their_number_of_parameters(encoder, decoder, code, parameters):
    _, encoder = shapes(conv.Encoder(**encoder), jnp.zeros((1, 28, 28, 1)))
    _, decoder = shapes(conv.Decoder(**decoder), jnp.zeros((1, code)), (28, 28, 1))
    assert count(encoder) + count(decoder) == parameters


def test_a_layer_is_that_of_flax_with_the_same_parameters(key):
    x = normal(0, 2, 9, 9, 3)
    for transposed, layer in ((False, nn.Conv), (True, nn.ConvTranspose)):
        theirs = layer(5, (4, 4), (2, 2))
        expected, variables = jax.jit(theirs.init_with_output)(key, x)
        assert_close([jax.jit(conv.Conv(5, 4, 2, transposed).apply)(variables, x)], [expected])


def test_gradients_are_finite_and_reach_every_parameter(key):
    x = jnp.asarray(normal(0, 4, 5, 5, 1))
    encoder = conv.Encoder((3,), kernel=3, hidden=(8,), down="max_pool", activation="tanh")
    decoder = conv.Decoder((3,), kernel=3, hidden=(8,), final_kernel=3, activation="tanh")

    @jax.jit
    def gradients(key):
        features, coder = encoder.init_with_output(key, x)
        variables = (coder, decoder.init(key, features, x.shape[1:]))
        outputs = lambda coder, mirror: decoder.apply(mirror, encoder.apply(coder, x), x.shape[1:])
        return jax.grad(lambda variables: ((outputs(*variables) - x) ** 2).sum())(variables)

    for gradient in jax.tree.leaves(gradients(key)):
        assert jnp.isfinite(gradient).all() and (gradient != 0).any()


RESNET = dict(channels=(4, 8), blocks=1, activation="tanh")


def test_attention_is_at_small_images_alone_and_a_residual_net_has_the_parameters_counted_by_hand():
    """For C channels a normalisation has 2 C numbers, a convolution 9 C C' + C', attention 4 (C C + C) and 2 C."""
    norm, conv3 = (lambda c: 2 * c), (lambda a, b: 9 * a * b + b)
    block = lambda c: 2 * (norm(c) + conv3(c, c))
    attention = {0: 0, 8: 4 * (8 * 8 + 8) + norm(8), 16: 4 * (8 * 8 + 8) + norm(8) + 4 * (4 * 4 + 4) + norm(4)}
    for side, numbers in attention.items():
        _, encoder = shapes(conv_resnet.Encoder(attention=side, **RESNET), jnp.zeros((1, 16, 16, 3)))
        _, decoder = shapes(conv_resnet.Decoder(attention=side, **RESNET), jnp.zeros((1, 5)), (16, 16, 3))
        blocks = block(4) + block(8) + numbers
        assert count(encoder) == conv3(3, 4) + conv3(4, 8) + blocks + norm(8)
        dense = 5 * (8 * 8 * 8) + 8 * 8 * 8
        assert count(decoder) == dense + conv3(8, 4) + blocks + norm(4) + conv3(4, 3)


def test_blocks_computed_anew_keep_less_and_give_the_same_gradients(key):
    x = jnp.asarray(normal(0, 2, 4, 4, 1))
    nets = [conv_resnet.Encoder((4,), blocks=1, attention=4, remat=remat) for remat in (False, True)]
    variables = jax.jit(nets[0].init)(key, x)
    assert jax.tree.map(jnp.shape, variables) == jax.tree.map(lambda leaf: leaf.shape, shapes(nets[1], x)[1])
    pulls = [lambda v, net=net: jax.vjp(lambda v: net.apply(v, x), v) for net in nets]
    kept, kept_less = (count(jax.eval_shape(pull, variables)[1]) for pull in pulls)
    assert kept_less < 0.7 * kept
    whole, anew = (jax.jit(lambda v, pull=pull: pull(v)[1](jnp.ones((2, 4 * 4 * 4))))(variables) for pull in pulls)
    assert_close(jax.tree.leaves(anew), jax.tree.leaves(whole))


@pytest.mark.parametrize(
    "module, arguments, message",
    [
        (conv.Encoder(down="pool"), [jnp.zeros((1, 8, 8, 1))], "average_pool, max_pool, stride"),
        (conv.Encoder(activation="rely"), [jnp.zeros((1, 8, 8, 1))], "did you mean 'relu'"),
        (conv.Encoder(kernel_init="glorot"), [jnp.zeros((1, 8, 8, 1))], "glorot_uniform"),
        (conv.Encoder(kernel=(3, 3, 3)), [jnp.zeros((1, 8, 8, 1))], "as many as there are channels"),
        (conv.Encoder(stride=0), [jnp.zeros((1, 8, 8, 1))], "positive"),
        (conv.Encoder(), [jnp.zeros((1, 64))], "model.encoder=mlp"),
        (conv.Decoder(), [jnp.zeros((1, 2)), (64,)], "model.decoder=mlp"),
        (conv.Decoder(up="bilinear"), [jnp.zeros((1, 2)), (8, 8, 1)], "nearest, transposed"),
        (conv.Decoder(up="nearest"), [jnp.zeros((1, 2)), (8, 8, 1)], "final_kernel"),
        (conv.Decoder(project=False, hidden=()), [jnp.zeros((1, 2)), (8, 8, 1)], "latent of 256"),
    ],
)
def test_what_a_config_may_not_ask_is_said_in_two_lines(key, module, arguments, message):
    with pytest.raises(UserError, match=message) as caught:
        module.init(key, *arguments)
    assert len(str(caught.value).splitlines()) <= 2


def flax_lstm(lstm, params, x):
    """The same layer by Flax's own cell, from these parameters of ours."""
    cell = nn.OptimizedLSTMCell(lstm.features)
    kernels = {"i": params["inputs"]["kernel"], "h": params["kernel"]}
    gates = {
        f"{kind}{g}": {"kernel": part} for kind, k in kernels.items() for g, part in zip("ifgo", jnp.split(k, 4, 1))
    }
    for name, bias in zip("ifgo", jnp.split(params["inputs"]["bias"], 4)):
        gates[f"h{name}"]["bias"] = bias
    layer = nn.RNN(cell, reverse=lstm.reverse, keep_order=True)
    return layer.apply({"params": {"cell": gates}}, x)


@pytest.mark.parametrize("reverse", [False, True])
def test_an_lstm_and_its_gradients_are_those_of_flax(reverse):
    lstm = recurrent.Lstm(5, reverse)
    x = jax.random.normal(jax.random.key(0), (3, 7, 4))
    params = lstm.init(jax.random.key(1), x)["params"]
    params = jax.tree.map(lambda leaf: leaf + 0.1 * jax.random.normal(jax.random.key(2), leaf.shape), params)
    score = lambda outputs: (outputs * jnp.arange(outputs.size).reshape(outputs.shape)).sum()
    ours = jax.value_and_grad(lambda params, x: score(lstm.apply({"params": params}, x)), (0, 1))(params, x)
    theirs = jax.value_and_grad(lambda params, x: score(flax_lstm(lstm, params, x)), (0, 1))(params, x)
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


def test_step_by_step_an_lstm_gives_what_it_gives_at_once():
    lstm = recurrent.Lstm(5)
    x = jax.random.normal(jax.random.key(0), (3, 6, 4))
    variables = lstm.init(jax.random.key(1), x)
    state, steps = (jnp.zeros((3, 5)),) * 2, []
    for t in range(6):
        state = lstm.apply(variables, state, x[:, t], method="step")
        steps.append(state[0])
    np.testing.assert_allclose(jnp.stack(steps, axis=1), lstm.apply(variables, x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("argument", range(4))
def test_the_lstms_own_derivative_is_the_derivative(argument):
    """Of every argument, the initial state and the last c included, against finite differences."""
    keys = jax.random.split(jax.random.key(3), 4)
    shapes = ((4, 2, 12), (3, 12), (2, 3), (2, 3))
    arguments = [jax.random.normal(key, shape) for key, shape in zip(keys, shapes)]
    jax.test_util.check_grads(
        lambda one: recurrent.run(*arguments[:argument], one, *arguments[argument + 1 :]),
        (arguments[argument],), order=1, modes=["rev"], eps=1e-2, atol=2e-2, rtol=2e-2,
    )  # fmt: skip
