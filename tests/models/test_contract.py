"""The contract of a family: nobody asks a model for anything else, and each word of it does something."""

import ast
import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ae_jax.core import spaces
from ae_jax.core.errors import UserError
from ae_jax.core.types import DataSpec, Latent, Outputs
from ae_jax.data.batching import Batches
from ae_jax.experiments import configuration, experiment
from ae_jax.models import ae, base, vae
from ae_jax.models.likelihoods import gaussian
from ae_jax.models.nets import conv, mlp
from ae_jax.objectives.elbo import elbo
from ae_jax.objectives.reconstruction import reconstruction
from ae_jax.plots import queries
from ae_jax.plots.figures import interpolations
from ae_jax.training import precision
from ae_jax.training.step import make_hparams, make_init, make_train_step
from configs import vae as vae_config

SPEC = DataSpec((3,), "reals")
X = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)
KEY = jax.random.key(0)
GAUSSIAN = gaussian.Likelihood

# Where these stand for something other than a model.
ALLOWED = {
    "core/compat.py": "private names of other libraries",
    "core/files.py": "flags of files that not every system has",
    "core/lookup.py": "modules by name",
    "core/schedules.py": "Optax's schedules by name, and kinds of schedules",
    "core/types.py": "its own fields by name",
    "data/formats/images.py": "what only some of Pillow's images have",
    "data/music/abc.py": "tokens by their kind",
    "data/sources/tfds.py": "features of TFDS",
    "devices/processes.py": "arrays of NumPy and of JAX",
    "devices/report.py": "functions that not every system has",
    "experiments/configuration.py": "functions of a config file",
    "experiments/runner.py": "the main scores, which few metrics name",
    "experiments/rundir.py": "damaged files of another form",
    "models/base.py": "Family.says",
    "models/nets/words.py": "functions of Linen by name",
    "plots/page_program.py": "jaxprs",
    "plots/style.py": "figures and pages",
    "sweeps/engines/__init__.py": "settings of JAX by name",
    "sweeps/directory.py": "damaged files of another form",
    "training/checkpoints.py": "its own manager, if it is open",
    "training/stored.py": "fields of the state",
    "training/optim.py": "optimisers of Optax by name",
    "training/precision.py": "leaves that are arrays",
    "commands/cli.py": "what a command's file defines",
    "commands/help.py": "what a command's file defines",
    "commands/keys.py": "numbers that vary, which only some parts have",
    "commands/reproduce.py": "functions of a config file",
}


def test_no_file_finds_out_by_trying_what_a_model_has():
    package = configuration.ROOT / "ae_jax"
    found = set()
    for path in package.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            called = isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
            asks = called and node.func.id in ("hasattr", "getattr", "vars")
            caught = isinstance(node, ast.ExceptHandler) and "AttributeError" in ast.dump(node.type or ast.Constant(0))
            if asks or caught:
                found.add(path.relative_to(package).as_posix())
    assert found <= set(ALLOWED), "a family declares it in models/base.py"
    assert set(ALLOWED) <= found, "no longer needed: remove the row"


def test_a_class_that_is_no_family_is_refused(tmp_path, monkeypatch):
    (tmp_path / "stranger.py").write_text(
        "import flax.linen as nn\n\n\nclass Model(nn.Module):\n    spec: object = None\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    config = vae_config.get_config("smoke")
    config.model.name = "stranger:Model"
    with pytest.raises(UserError, match="Family"):
        experiment.build(config)


# --- toys: each word of the contract, in about ten lines --------------------------------------------------------------


def trained(model, objective=reconstruction, steps=1, pieces=1, weights=("reconstruction",), tx=None, batches=None):
    """The state after some steps, and the one before."""
    batches = Batches({"x": X}, SPEC, 8) if batches is None else batches
    tx = tx or optax.sgd(0.0)
    hparams = make_hparams(dict.fromkeys(weights, 1.0))
    first = make_init(model, tx)(KEY, next(iter(batches)), hparams)
    step = jax.jit(make_train_step(model, objective, tx, pieces=pieces))
    state = first
    for _ in range(steps):
        state, _ = step(state, next(iter(batches)), hparams)
    return state, first


TOY = {"encoder": mlp.Encoder(()), "decoder": mlp.Decoder(()), "likelihood": GAUSSIAN, "latent_dim": 2}


class Normalised(ae.Model):
    def after_update(self, params):
        return {**params, "z": jax.tree.map(jnp.ones_like, params["z"])}


def test_after_update_is_what_training_keeps():
    state, first = trained(Normalised(SPEC, **TOY))
    assert (state.params["z"]["kernel"] == 1).all() and not (first.params["z"]["kernel"] == 1).all()


class Counting(ae.Model):
    """Counts examples in "sums", and keeps the total, with a draw of its own stream, in "counters"."""

    def setup(self):
        super().setup()
        self.seen = self.variable("sums", "seen", jnp.zeros, ())
        self.total = self.variable("counters", "total", jnp.zeros, ())
        self.drawn = self.variable("counters", "draw", jnp.zeros, ())

    def __call__(self, batch, *, num_samples=1, train=False, hparams=None):
        if train:
            self.seen.value += batch["mask"].sum()
        return super().__call__(batch, num_samples=num_samples, train=train, hparams=hparams)

    def after_batch(self, collections, key):
        total = collections["counters"]["total"] + collections["sums"]["seen"]
        return {**collections, "counters": {"total": total, "draw": jax.random.normal(key)}}


@pytest.mark.parametrize("pieces", [1, 4])
def test_collections_add_up_over_the_pieces_of_a_batch_and_draw_from_their_own_stream(pieces):
    state, _ = trained(Counting(SPEC, **TOY), steps=3, pieces=pieces)
    again, _ = trained(Counting(SPEC, **TOY), steps=2, pieces=pieces)
    assert state.extra["counters"]["total"] == 24
    assert state.extra["counters"]["draw"] != again.extra["counters"]["draw"]


def test_collections_are_kept_as_they_are_by_a_step_that_is_skipped():
    broken = Batches({"x": X * np.nan}, SPEC, 8)
    state, _ = trained(Counting(SPEC, **TOY), batches=broken)
    assert state.extra["counters"]["total"] == 0 and state.bad_steps == 1


def built(model, **keys):
    config = vae_config.get_config("smoke")
    return dataclasses.replace(experiment.build(config), model=model, **keys)


class Started(ae.Model):
    """Keeps the first batch, of what it is given when it is made."""

    starts_from = "first_batch"

    def setup(self):
        super().setup()
        self.kept = self.variable("kept", "x", jnp.zeros, self.spec.shape)

    def __call__(self, batch, *, num_samples=1, train=False, hparams=None):
        if self.is_initializing():
            self.kept.value = batch["x"].mean(axis=0)
        return super().__call__(batch, num_samples=num_samples, train=train, hparams=hparams)


@pytest.mark.parametrize("starts_from", ["nothing", "first_batch"])
def test_a_family_starts_from_nothing_or_from_a_first_batch(starts_from):
    kind = type("Kind", (Started,), {"starts_from": starts_from})
    made = built(kind(DataSpec((8, 8, 1), classes=10, levels=17), mlp.Encoder(()), mlp.Decoder(()), latent_dim=2))
    x = made.splits["train"]["x"]
    evenly = np.linspace(0, len(x) - 1, made.config.train.batch_size).round().astype(int)
    expected = x[evenly].mean(axis=0) / 16 if starts_from == "first_batch" else 0 * x[0]
    np.testing.assert_allclose(made.init(KEY).extra["kept"]["x"], expected, rtol=1e-5)


class OtherNets(ae.Model):
    networks = ("z",)

    def features(self, batch):
        return batch["inputs"]


def test_mixed_precision_rounds_the_networks_that_a_family_names():
    model, batch = OtherNets(SPEC, **TOY), next(iter(Batches({"x": X}, SPEC, 8)))
    variables = model.init(KEY, batch)
    whole = model.apply(variables, batch).code
    mixed = precision.apply("mixed", model, variables, batch).code
    rounded = lambda x: x.astype(jnp.bfloat16)
    kernel, bias = variables["params"]["z"]["kernel"], variables["params"]["z"]["bias"]
    np.testing.assert_array_equal(mixed, (rounded(X) @ rounded(kernel) + rounded(bias)[None]).astype(jnp.float32))
    assert not np.array_equal(whole, mixed)


class WithoutLatents(base.Family):
    """One distribution for all examples."""

    @nn.compact
    def __call__(self, batch, *, num_samples=1, train=False, hparams=None):
        mean = self.param("mean", nn.initializers.zeros, self.spec.shape)
        likelihood = gaussian.Likelihood(self.spec)(jnp.broadcast_to(mean, (1, *batch["x"].shape)), batch)
        return Outputs(likelihood, (), jnp.zeros((len(batch["x"]), 0)))


def test_a_model_without_latents_trains_by_its_elbo():
    state, _ = trained(WithoutLatents(SPEC), elbo, 200, weights=("reconstruction", "kl"), tx=optax.adam(0.1))
    np.testing.assert_allclose(state.params["mean"], X.mean(axis=0), atol=0.05)


def test_an_objective_is_given_a_key_of_each_step_where_it_asks_for_one():
    drawn = lambda outputs, batch, *, key: {"draw": jnp.full(8, jax.random.normal(key))}
    hparams, batches = make_hparams({"draw": 1.0}), Batches({"x": X}, SPEC, 8)
    model, tx = ae.Model(SPEC, **TOY), optax.sgd(0.0)
    state, step = make_init(model, tx)(KEY, next(iter(batches)), hparams), make_train_step(model, drawn, tx)
    values = []
    for _ in range(3):
        state, metrics = step(state, next(iter(batches)), hparams)
        values.append(float(metrics["draw"]))
    assert len(set(values)) == 3


def test_a_batch_has_factors_and_observed_values_where_the_data_have_them_and_says_how_many_train():
    factors, observed = np.arange(16).reshape(8, 2), (X > 0).astype(np.float32)
    batches = Batches({"x": X, "factors": factors, "observed": observed}, SPEC, 3, training_size=100)
    first = next(iter(batches))
    np.testing.assert_array_equal(first["factors"], factors[:3])
    np.testing.assert_array_equal(first["observed"], observed[:3])
    np.testing.assert_array_equal(first["num_examples"], [100, 100, 100])


class Shared(vae.Model):
    encoder_is_apart = False


def test_objectives_of_two_players_are_refused_where_they_would_share_parameters():
    from ae_jax.objectives.importance_weighted import dreg

    options = {"objective": dreg, "weights": ("decoder_bound", "encoder_bound")}
    trained(vae.Model(SPEC, **TOY), **options)
    with pytest.raises(UserError, match="model.prior"):
        trained(Shared(SPEC, **TOY), **options)


@dataclasses.dataclass(frozen=True)
class Detour(spaces.Euclidean):
    """A space whose geodesics go through the origin."""

    def geodesic(self, start, end, at):
        at = jnp.reshape(at, (-1,) + (1,) * jnp.ndim(start))
        return jnp.where(at < 0.5, (1 - 2 * at) * start[None], (2 * at - 1) * end[None])


class Curved(ae.Model):
    space = Detour()


def test_interpolations_follow_the_geodesics_of_the_latent_space():
    from ae_jax.evaluation.data import EvalData

    batches = Batches({"x": X}, SPEC, 8)
    variables = Curved(SPEC, **TOY).init(KEY, next(iter(batches)))
    data = EvalData.of(test=batches)
    paths = [
        interpolations.arrays(kind(SPEC, **TOY), variables, data, KEY, count=2, steps=5)["path"]
        for kind in (Curved, ae.Model)
    ]
    origin = queries.decode(Curved(SPEC, **TOY), variables, np.zeros((1, 2)))[0]
    np.testing.assert_allclose(paths[0][:, 2], np.stack([origin, origin]), atol=1e-6)
    assert np.abs(paths[1][:, 2] - paths[0][:, 2]).max() > 0.01
    np.testing.assert_allclose(paths[0][:, [0, -1]], paths[1][:, [0, -1]], atol=1e-6)


def test_indices_travel_with_a_latent():
    latent = jax.jit(lambda index: Latent(index.astype(float), indices=index))(jnp.arange(6).reshape(1, 3, 2))
    np.testing.assert_array_equal(latent.indices, np.arange(6).reshape(1, 3, 2))


def spatial_model(kind, **options):
    nets = {"encoder": conv.Encoder((4, 8), spatial=True), "decoder": conv.Decoder((4, 8), spatial=True)}
    return kind(DataSpec((10, 8, 1)), **nets, latent_dim=3, spatial=True, **options)


@pytest.mark.parametrize("kind", [ae.Model, vae.Model])
def test_a_spatial_latent_keeps_the_places_of_an_image(kind):
    model, x = spatial_model(kind), np.random.default_rng(0).random((2, 10, 8, 1), np.float32)
    batch = {"x": x, "inputs": x, "mask": np.ones(2)}
    outputs, variables = model.init_with_output({"params": KEY, "latent": KEY}, batch)
    assert model.code_spec == DataSpec((3, 2, 3), "reals") and outputs.code.shape == (2, 18)
    corner = np.zeros((1, 2, 18), np.float32)
    corner[:, 1, :3] = 10.0  # the latent of the upper left place of the second example
    likelihood = model.apply(variables, (corner,), {"mask": np.ones(2)}, method="decode")
    changed = np.abs(likelihood.logits[0, 1] - likelihood.logits[0, 0])[..., 0]
    assert (changed[:3, :3] > 0).all() and (changed[-2:, -1] == 0).all()


def test_a_spatial_latent_needs_a_network_that_keeps_images():
    with pytest.raises(UserError, match="model.spatial.*\n.*model.encoder=conv"):
        ae.Model(DataSpec((10, 8, 1)), spatial=True).init(KEY, {"inputs": np.zeros((1, 10, 8, 1))})
