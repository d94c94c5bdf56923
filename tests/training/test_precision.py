"""Networks compute in bfloat16 where that was asked for, and nothing else does."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ae_jax.core.errors import UserError
from ae_jax.experiments import configuration, experiment
from ae_jax.models import base
from ae_jax.models.nets import conv_resnet, recurrent
from ae_jax.training import precision


def built(name, kind):
    config = configuration.load(f"configs/{name}.py:smoke")
    config.train.precision, config.train.ema = kind, 0.9
    return experiment.build(config)


def dtypes(tree):
    return {str(leaf.dtype) for leaf in jax.tree.leaves(tree) if jnp.issubdtype(leaf.dtype, jnp.floating)}


def products(jaxpr):
    """The dtypes of what is multiplied as matrices or convolved, anywhere in a program."""
    found = set()
    for equation in jaxpr.eqns:
        if equation.primitive.name in ("dot_general", "conv_general_dilated"):
            found |= {str(atom.aval.dtype) for atom in equation.invars}
        for inner in jax.tree.leaves(list(equation.params.values()), is_leaf=lambda leaf: hasattr(leaf, "eqns")):
            inner = getattr(inner, "jaxpr", inner)
            found |= products(inner) if hasattr(inner, "eqns") else set()
    return found


@pytest.mark.parametrize("name", ["vae", "conv_vae"])
@pytest.mark.parametrize(("kind", "kept"), [("mixed", "float32"), ("bfloat16", "bfloat16")])
def test_networks_multiply_in_bfloat16_and_all_else_is_float32(name, kind, kept):
    one = built(name, kind)
    state, batch = one.state_shapes(), one.example()
    program, (after, metrics) = jax.make_jaxpr(one.step, return_shape=True)(state, batch, one.hparams)
    assert products(program.jaxpr) == {"bfloat16", "float32"}  # the networks', and the posterior's heads'
    assert dtypes(state.params) == dtypes(after.params) == {kept}
    assert dtypes([state.ema, state.opt_state, after.ema, after.opt_state, metrics]) == {"float32"}


class Model(base.Family):
    """A network at the place where models have theirs."""

    spec: object = None
    encoder: nn.Module = None

    def __call__(self, *arguments):
        return self.encoder(*arguments)


IMAGES = jnp.zeros((2, 8, 8, 3))


@pytest.mark.parametrize(
    ("net", "arguments"),
    [
        (conv_resnet.Encoder(channels=(4, 8), blocks=1, groups=2), (IMAGES,)),
        (conv_resnet.Decoder(channels=(4, 8), blocks=1, groups=2), (jnp.zeros((2, 3)), (8, 8, 3))),
        (recurrent.Encoder(hidden=(4, 4), bidirectional=True), (IMAGES,)),
        (recurrent.Decoder(hidden=(4, 4)), (jnp.zeros((2, 3)), (8, 24))),
    ],
    ids=["resnet encoder", "resnet decoder", "lstm encoder", "lstm decoder"],
)
def test_all_of_a_network_is_in_bfloat16_and_what_leaves_it_is_not(net, arguments):
    model = Model(encoder=net)
    given, words = arguments[:1], arguments[1:]
    variables = model.init(jax.random.key(0), *arguments)

    def loss(params, *given):
        return precision.apply("mixed", model, {**variables, "params": params}, *given, *words).sum()

    program, answered = jax.make_jaxpr(jax.grad(loss), return_shape=True)(variables["params"], *given)
    assert products(program.jaxpr) == {"bfloat16"} and dtypes(answered) == {"float32"}


def test_float32_is_what_it_is_without_a_word():
    plain, named = (built("vae", kind) for kind in (None, "float32"))
    programs = [str(jax.make_jaxpr(one.step)(one.state_shapes(), one.example(), one.hparams)) for one in (plain, named)]
    assert programs[0] == programs[1] and "bf16" not in programs[0]


def test_a_step_differs_by_the_rounding_of_eight_bits():
    key, states = jax.random.key(0), {}
    for kind in ("float32", "mixed", "bfloat16"):
        one = built("vae", kind)
        states[kind] = jax.jit(one.step)(one.init(key), next(iter(one.batches("train"))), one.hparams)
    (state, exact), others = states.pop("float32"), states
    for rounded, metrics in others.values():
        np.testing.assert_allclose(metrics["loss"], exact["loss"], rtol=2**-8)
        assert float(metrics["loss"]) != float(exact["loss"])
        for a, b in zip(jax.tree.leaves(state.params), jax.tree.leaves(rounded.params), strict=True):
            # Adam's first step is of the size of its rate, 0.001, and its sign that of a rounded gradient.
            np.testing.assert_allclose(a, np.asarray(b, np.float32), atol=2.1e-3, rtol=2**-8)


def test_another_word_is_refused():
    with pytest.raises(UserError, match="unknown train.precision 'bf16'"):
        built("vae", "bf16")
