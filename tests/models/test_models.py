"""Every family with every network: the contract, training, the user's own parts, and a closed form to reach."""

import functools
import math

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ae_jax.core import lookup, schedules
from ae_jax.core.distributions import Normal, centre
from ae_jax.core.types import DataSpec
from ae_jax.data.batching import Batches
from ae_jax.experiments import experiment
from ae_jax.models import vae
from ae_jax.models.likelihoods import gaussian
from ae_jax.models.nets import mlp
from ae_jax.models.posteriors import diagonal_normal
from ae_jax.models.quantizers import vq
from ae_jax.objectives.adversarial import adversarial
from ae_jax.objectives.elbo import elbo
from ae_jax.objectives.reconstruction import reconstruction
from ae_jax.training import loop, players
from ae_jax.training.step import streams

FAMILIES = lookup.choices("models")
NETS = [name for name in lookup.choices("nets") if hasattr(lookup.module("nets", name), "Encoder")]
SHAPES = [(8, 8, 1), (28, 28, 1), (32, 32, 3), (25, 25, 1)]
SPEC = DataSpec(SHAPES[0], classes=10)
EVENTS = DataSpec((32,), "events", classes=10, levels=90)
B = 4
NARROW = {"hidden": (8,), "channels": (4, 8), "critic_hidden": (8,), "upper_hidden": (8,), "blocks": 1}
NARROW |= {"width": 8, "layers": 1, "quantizer": functools.partial(vq.Quantizer, codes=B)}
STREAMS = {"params": jax.random.key(0), **streams(jax.random.key(1))}


def narrow(module, *args, **options):
    """The module at a size for tests."""
    sizes = {name: size for name, size in NARROW.items() if name in module.__dataclass_fields__}
    return module(*args, **sizes, **options)


def model_of(family):
    return lookup.find("models", family, "Model")


def nets_of(family):
    """The networks that a family can have: those of images, those of sequences, or none where it has no encoder."""
    if "encoder" not in model_of(family).__dataclass_fields__:
        return ("none",)
    return NETS if "pixels" in model_of(family).kinds else ("mlp", "recurrent")


def build(family, net="mlp", shape=(8, 8, 1), **options):
    kind = model_of(family)
    roles = {"encoder": net, "decoder": "autoregressive" if kind.reads_x else net}
    roles = {role: name for role, name in roles.items() if role in kind.__dataclass_fields__}
    nets = {role: narrow(lookup.find("nets", name, role.capitalize())) for role, name in roles.items()}
    options = {key: value for key, value in options.items() if key in kind.__dataclass_fields__}
    return narrow(kind, spec_of(family, shape), **nets, **options)


def spec_of(family, shape=SPEC.shape):
    return DataSpec(shape, classes=10) if "pixels" in model_of(family).kinds else EVENTS


def has_latents(family):
    """Whether examples have a latent: a family without one is a density of the examples themselves."""
    return "encoder" in model_of(family).__dataclass_fields__


def objective_of(model, batch):
    """An objective that trains everything that the model has."""
    penalties = shapes_of(lambda outputs: outputs.penalties, model, batch, train=True)
    if "critic" in penalties:
        return adversarial
    return elbo if isinstance(model, vae.Model) else reconstruction


def data(spec=SPEC, count=B):
    x = np.random.default_rng(0).integers(0, spec.levels, (count, *spec.shape), np.uint8)
    return Batches({"x": x, "label": np.arange(count) % 10}, spec, B)


def shapes_of(ask, model, batch, **options):
    """The shapes of what `ask` makes of the model's answer, from its initial parameters."""
    asked = jax.eval_shape(lambda: ask(model.init_with_output(STREAMS, batch, **options)[0]))
    return jax.tree.map(lambda leaf: leaf.shape, asked)


def test_the_kl_of_a_conditional_model_is_from_the_prior_of_the_class():
    model, batch = build("conditional", latent_dim=3, conditional_prior=True), next(iter(data()))
    params = model.init(STREAMS, batch)["params"]
    generator = np.random.default_rng(1)
    kernel, bias = generator.normal(size=(10, 6)), generator.normal(size=6)
    params = {**params, "p_z_given_y": {"kernel": jnp.asarray(kernel), "bias": jnp.asarray(bias)}}
    outputs = model.apply({"params": params}, batch, rngs=STREAMS)
    q = outputs.latents[0].posterior
    loc, log_scale = np.split(kernel[np.asarray(batch["label"])] + bias, 2, axis=1)
    ratio = np.exp(2 * (q.log_scale - log_scale))
    expected = 0.5 * (ratio + np.square((q.loc - loc) / np.exp(log_scale)) - 1 - np.log(ratio)).sum(axis=1)
    np.testing.assert_allclose(elbo(outputs, batch)["kl"], expected, rtol=1e-4)


@pytest.mark.parametrize(
    ("family", "net", "shape"),
    [(family, net, SHAPES[0]) for family in FAMILIES for net in nets_of(family)]
    + [(family, net, shape) for family in ("ae", "vae") for net in NETS for shape in SHAPES[1:]],
    ids=str,
)
def test_outputs_keep_the_contract(family, net, shape):
    spec, size = spec_of(family, shape), (B, 3)
    model, batch = build(family, net, shape, latent_dim=3), next(iter(data(spec)))
    is_random = issubclass(type(model), vae.Model)
    drawn = 2 if is_random else 1

    if not has_latents(family):
        found = shapes_of(lambda outputs: (outputs.code, outputs.likelihood.log_prob(batch["x"][None])), model, batch)
        assert found == ((B, 0), (1, B))
        assert shapes_of(centre, model, batch, method="generate") == (1, B, *spec.shape)
        return

    def ask(outputs):
        *_, latent = outputs.latents
        assert is_random == (latent.posterior is not None)
        p_x = outputs.likelihood
        of_x = centre(p_x), p_x.log_prob(batch["x"][None]), list(outputs.penalties.values())
        means = latent.posterior.mean.reshape(-1, *size)[0] if is_random else None  # [S, B] below another layer
        of_posterior = (means, latent.log_q, latent.log_p, latent.log_q_path) if is_random else ()
        return outputs.code, latent.sample, of_x, of_posterior

    code, sample, (mean, log_prob, penalties), of_posterior = shapes_of(ask, model, batch, num_samples=2)
    assert code == size and sample == (drawn, *size)
    assert mean == (drawn, B, *spec.shape) and log_prob == (drawn, B)
    assert all(penalty == (B,) for penalty in penalties)
    assert of_posterior == (size, *3 * ((drawn, B),)) * is_random
    if model.says("generate"):
        assert shapes_of(centre, model, batch, method="generate") == (1, B, *spec.shape)


@pytest.mark.parametrize("latent_dim", [1, 2, 10])
@pytest.mark.parametrize("family", filter(has_latents, FAMILIES))
def test_codes_of_any_size(family, latent_dim):
    model, batch = build(family, latent_dim=latent_dim), next(iter(data(spec_of(family))))
    assert shapes_of(lambda outputs: outputs.code, model, batch) == (B, latent_dim)


@pytest.mark.parametrize(
    ("family", "net", "shape"),
    [(family, nets_of(family)[0], SHAPES[0]) for family in FAMILIES]
    + [("vae", net, SHAPES[0]) for net in NETS if net != "mlp"]
    + [("vae", "conv", SHAPES[-1])],
    ids=str,
)
def test_ten_steps_move_every_parameter(family, net, shape):
    model, params, batches = build(family, net, shape), [], data(spec_of(family, shape), 10)
    objective = objective_of(model, next(iter(batches)))
    keep = lambda step, state, metrics: params.append(jax.tree.map(np.asarray, state.params))
    flat = lambda outputs: {
        k: v for terms in players.by_player(objective(outputs, batch)).values() for k, v in terms.items()
    }
    batch = next(iter(batches))
    weights = dict.fromkeys(shapes_of(flat, model, batch), 1.0)
    options = {"steps": 11, "weights": weights, "hooks": [(1, keep)]}
    _, metrics = loop.train(model, objective, optax.adam(1e-2), batches, jax.random.key(0), **options)
    assert all(map(math.isfinite, metrics.values())) and "skipped" not in metrics
    moved = jax.tree.map(lambda first, last: (first != last).any(), params[0], params[-1])
    assert all(jax.tree.leaves(moved)), moved


@pytest.mark.parametrize("family", FAMILIES)
def test_the_same_keys_give_the_same_outputs(family):
    model, batch = build(family), next(iter(data(spec_of(family))))
    answer = jax.jit(lambda key: model.init_with_output({**STREAMS, **streams(key)}, batch)[0])
    first, again, other = (answer(jax.random.key(seed)) for seed in (1, 1, 2))
    jax.tree.map(np.testing.assert_array_equal, first, again)
    is_random = bool(first.latents) and first.latents[0].posterior is not None
    assert np.array_equal(*(jax.tree.leaves(each.likelihood)[0] for each in (first, other))) != is_random
    np.testing.assert_array_equal(first.code, other.code)


# --- the user's own parts ---------------------------------------------------------------------------------------------


class Mine(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(5, name="mine")(x.reshape(len(x), -1))


def test_a_users_encoder_is_passed_in():
    model, batch = vae.Model(DataSpec((8, 8, 1)), encoder=Mine()), next(iter(data()))
    shapes = jax.eval_shape(lambda: model.init(STREAMS, batch))["params"]
    assert shapes["encoder"]["mine"]["kernel"].shape == (64, 5)
    assert shapes["q_z"]["z_mean"]["kernel"].shape == (5, 2)


THEIRS = """
import flax.linen as nn
import numpy as np
from ae_jax.models import vae
from ae_jax.objectives.elbo import elbo
from ae_jax.core.types import DataSpec

class Encoder(nn.Module):
    width: int = 7
    @nn.compact
    def __call__(self, x):
        return nn.Dense(self.width, name="theirs")(x.reshape(len(x), -1))

class Model(vae.Model):
    pass

def loss(outputs, batch, *, power=2.0):
    return {"power": elbo(outputs, batch)["kl"] ** power}

def load(path=""):
    x = np.full((6, 4, 5, 1), len(path), np.uint8)
    return DataSpec((4, 5, 1)), {"train": {"x": x}, "test": {"x": x[:2]}}
"""


def test_a_users_module_is_named_in_a_config(tmp_path, monkeypatch):
    from configs import vae as config_file

    (tmp_path / "package_of_theirs").mkdir()
    (tmp_path / "package_of_theirs" / "parts.py").write_text(THEIRS)
    monkeypatch.syspath_prepend(tmp_path)
    config = config_file.get_config("smoke")
    theirs = "package_of_theirs.parts:{}".format
    config.model.update(name=theirs("Model"), encoder=theirs("Encoder"), encoder_width=9)
    config.objective.update(name=theirs("loss"), power="linear:1:2:10")
    config.weights = {"power": 1.0}
    config.data.update(source=theirs("load"), path="abc", validation=0)
    config.train.batch_size = 3
    built = experiment.build(config)
    built.check()
    assert type(built.model).__module__ == "package_of_theirs.parts"
    assert built.spec == DataSpec((4, 5, 1)) and (built.splits["train"]["x"] == 3).all()
    assert built.state_shapes().params["encoder"]["theirs"]["kernel"].shape == (20, 9)
    assert schedules.at(built.hparams, 5)["objective"]["power"] == 1.5


# --- the linear VAE ---------------------------------------------------------------------------------------------------


@flax.struct.dataclass
class SigmaPoints(Normal):
    """A Normal whose samples are the 2D points loc +- sqrt(D) scale e_d: means over them are exact for quadratics."""

    def sample(self, key, n):
        size = self.loc.shape[-1]
        steps = math.sqrt(size) * jnp.concatenate([jnp.eye(size), -jnp.eye(size)])
        return self.loc[None] + steps[:, None] * jnp.exp(self.log_scale)[None]


class Posterior(diagonal_normal.Posterior):
    def __call__(self, features):
        q = super().__call__(features)
        return SigmaPoints(q.loc, q.log_scale)


def test_linear_vae_reaches_the_likelihood_of_probabilistic_pca():
    """Lucas et al. 2019, arXiv:1911.02469: its ELBO has no maximum but the exact one of Tipping and Bishop 1999."""
    (n, size, latents), draw = (200, 6, 2), np.random.default_rng(0).normal
    x = draw(size=(n, latents)) @ draw(size=(latents, size)) + 0.3 * draw(size=(n, size)) + 2
    model = vae.Model(
        DataSpec((size,), "reals"),
        encoder=mlp.Encoder(hidden=()),
        decoder=mlp.Decoder(hidden=()),
        likelihood=functools.partial(gaussian.Likelihood, scale="learned"),
        posterior=functools.partial(Posterior, shared_scale=True),
        latent_dim=latents,
    )
    batches = Batches({"x": x.astype(np.float32)}, model.spec, n)
    tx = optax.adam(optax.cosine_decay_schedule(0.1, 2000))
    hook = (1999, lambda step, state, metrics: None)  # leaves one step to the last window of metrics
    options = {"weights": {"reconstruction": 1.0, "kl": 1.0}, "steps": 2000, "hooks": [hook]}
    state, metrics = loop.train(model, elbo, tx, batches, jax.random.key(0), **options)

    # The expectation of log p(x|z) under q(z|x) in closed form, from the parameters alone.
    params = jax.tree.map(lambda leaf: np.asarray(leaf, float), state.params)
    decoder, q = params["decoder"]["Dense_0"], params["q_z"]
    encoded = x @ q["z_mean"]["kernel"] + q["z_mean"]["bias"]
    variance = np.exp(2 * q["z_log_sigma"])
    noise = (np.exp(params["p_x"]["log_scale"]) + 1e-3) ** 2
    residual = x - encoded @ decoder["kernel"] - decoder["bias"]
    squares = np.square(residual).sum(axis=1) + variance @ np.square(decoder["kernel"]).sum(axis=1)
    log_p = -0.5 * (size * np.log(2 * np.pi * noise) + squares / noise)
    kl = 0.5 * (variance + np.square(encoded) - 1 - np.log(variance)).sum(axis=1)
    bound = (log_p - kl).mean()

    eigenvalues = np.linalg.eigvalsh(np.cov(x.T, bias=True))[::-1]
    rest = eigenvalues[latents:].mean()
    log_determinant = np.log(eigenvalues[:latents]).sum() + (size - latents) * np.log(rest)
    exact = -0.5 * (size * np.log(2 * np.pi) + log_determinant + size)
    assert exact - 0.01 < bound < exact + 1e-6
    assert -metrics["loss"] == pytest.approx(bound, abs=1e-3)
