"""Values that have no likelihood are refused before training, wherever they come in."""

import numpy as np
import optax
import pytest

from ae_jax.core import lookup
from ae_jax.core.errors import UserError
from ae_jax.core.types import DataSpec
from ae_jax.data import batching, mapped
from ae_jax.data.batching import Batches
from ae_jax.experiments import analysis, configuration, experiment, runner
from ae_jax.models import vae
from ae_jax.objectives.elbo import elbo
from ae_jax.sweeps import axes, launch
from ae_jax.training import loop

CONFIGS = sorted(p.stem for p in (configuration.ROOT / "configs").glob("[a-z]*.py") if p.stem != "common")
VECTORS = np.random.RandomState(0).randn(1000, 5)
IMAGES = np.linspace(-1, 1, 40 * 64).reshape(40, 8, 8)
REALS = DataSpec((5,), "reals")


def config_on(file, name="vae", **data):
    """A config in `:smoke` on the user's own file."""
    config = configuration.load(f"configs/{name}.py:smoke")
    config.data.update({"source": "files", "path": str(file), "size": None, "validation": 10, **data})
    return config


@pytest.fixture
def stored(tmp_path):
    np.save(tmp_path / "vectors.npy", VECTORS)
    np.save(tmp_path / "images.npy", IMAGES)
    return tmp_path


@pytest.mark.parametrize("name", CONFIGS)
def test_every_config_refuses_what_its_likelihood_does_not_take(name, stored):
    for file, values in (("vectors", VECTORS), ("images", IMAGES)):
        config = config_on(stored / f"{file}.npy", name)
        family = lookup.find("models", config.model.name, "Model")
        is_density = "likelihood" not in family.__dataclass_fields__ and "reals" in family.kinds
        if is_density or config.model.get("likelihood") == "gaussian":
            if file == "images":
                experiment.build(config).check()
            continue
        with pytest.raises(UserError) as caught:
            experiment.build(config).check()
        message = str(caught.value)
        assert len(message.splitlines()) == 2
        if config.model.get("likelihood") == "bernoulli":  # the others are for levels of pixels or for melodies
            part = values[np.random.RandomState(0).permutation(len(values))[len(values) // 10 :]]
            assert any(f"from {side.min():g} to {side.max():g}" in message for side in (part, values))
            assert "data.binarize" in message or "--config.model.likelihood=gaussian" in message


def test_the_remedy_that_is_named_helps(stored):
    config = config_on(stored / "vectors.npy")
    with pytest.raises(UserError, match="--config.model.likelihood=gaussian"):
        runner.train_run(config, str(stored / "run"))
    assert not (stored / "run").exists()
    configuration.override(config, "model.likelihood", "gaussian")
    assert runner.train_run(config, str(stored / "run")).step == 2


def test_a_sweep_refuses_them_as_it_is_planned(stored):
    with pytest.raises(UserError, match="likelihood=gaussian"):
        launch.make_plan(str(stored / "sweep"), config_on(stored / "images.npy"), axes.assignments(["seed=0,1"]))
    assert not (stored / "sweep").exists()


def test_training_without_a_config_refuses_them(key):
    x = VECTORS.astype(np.float32)
    batches = Batches({"x": x}, REALS, batch_size=100)
    with pytest.raises(UserError, match=rf"from {x.min():g} to {x.max():g}.*\n.*likelihood=gaussian.Likelihood"):
        weights = {"reconstruction": 1.0, "kl": 1.0}
        loop.train(vae.Model(REALS), elbo, optax.adam(1e-3), batches, key, weights=weights, steps=1)


@pytest.mark.parametrize("binarize", ["dynamic", "fixed"])
def test_only_probabilities_are_binarised(stored, binarize):
    with pytest.raises(UserError, match="data.binarize .*from -1 to 1"):
        experiment.build(config_on(stored / "images.npy", binarize=binarize))


def test_a_trained_model_refuses_other_data_out_of_its_range(stored):
    np.save(stored / "grey.npy", np.abs(IMAGES))
    runner.train_run(config_on(stored / "grey.npy"), str(stored / "run"))
    with pytest.raises(UserError, match="images.npy has values from -1 to 1\nexpected values from 0 to 1"):
        analysis.evaluate_run(analysis.load(str(stored / "run"), data=f"files:{stored / 'images.npy'}"), ["mse"], {})


class Unread:
    """An array of which nothing may be read but its type."""

    def __init__(self, dtype):
        self.dtype = np.dtype(dtype)


def test_bytes_of_256_levels_are_not_read():
    assert batching.outside(Unread(np.uint8), DataSpec((5,)), (0, 1)) == ""
    with pytest.raises(TypeError):
        batching.outside(Unread(np.uint8), DataSpec((5,), levels=17), (0, 1))


@pytest.mark.parametrize(
    ("values", "spec", "support", "found"),
    [
        ([[0, 16]], DataSpec((2,), levels=17), (0, 1), ""),
        ([[0, 32]], DataSpec((2,), levels=17), (0, 1), "values from 0 to 2"),
        ([[0, 90]], DataSpec((2,), "events", levels=90), (0, 89), "values from 0 to 90"),
        ([[0.0, 1 + 1e-6]], DataSpec((2,), "reals"), (0, 1), ""),  # the rounding of another library
        ([[0.0, 1.01]], DataSpec((2,), "reals"), (0, 1), "values from 0 to 1.01"),
        ([[-1e30, 1e30]], DataSpec((2,), "reals"), (-np.inf, np.inf), ""),
        ([[0.0, np.nan]], DataSpec((2,), "reals"), (-np.inf, np.inf), "NaN or infinity"),
        ([[0.0, -np.inf]], DataSpec((2,), "reals"), (0, 1), "NaN or infinity"),
    ],
)
def test_values_are_judged_as_models_see_them(values, spec, support, found):
    dtype = np.float32 if spec.kind == "reals" else np.uint8
    assert batching.outside(np.array(values, dtype), spec, support) == found


def test_categories_are_whole_numbers():
    spec = DataSpec((2,), "events", levels=90)
    assert batching.outside(np.array([[3.0, 89.0]]), spec, (0, 89)) == ""
    with pytest.raises(UserError, match="not whole numbers\nexpected whole numbers from 0 to 89"):
        batching.check_support(np.array([[3.5, 89.0]]), spec, (0, 89))


def test_a_mapped_file_is_read_in_pieces(tmp_path, monkeypatch):
    np.save(tmp_path / "x.npy", VECTORS)
    values = np.load(tmp_path / "x.npy", mmap_mode="r")
    monkeypatch.setattr(mapped, "PIECE", 700)
    assert max(len(piece) for piece in mapped.pieces(values)) == 700 // VECTORS[0].nbytes
    assert mapped.extremes(values) == (np.float32(VECTORS.min()), np.float32(VECTORS.max()))
    np.testing.assert_allclose(mapped.mean(values), VECTORS.mean(axis=0))
    numbers = np.array([3, 5, 8, 999])
    rows = mapped.rows(values, numbers)
    as_read = VECTORS.astype(np.float32)
    assert isinstance(rows, mapped.Rows) and rows.shape == (4, 5) and rows.nbytes == as_read[numbers].nbytes
    np.testing.assert_array_equal(rows, as_read[numbers])
    np.testing.assert_array_equal(rows[1:3], as_read[[5, 8]])
    np.testing.assert_array_equal(rows[np.array([[3, 0], [1, 1]])], as_read[numbers[[[3, 0], [1, 1]]]])
