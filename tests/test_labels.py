"""Labels that models read, through the commands' own functions: where they lack, and where they are vectors."""

from pathlib import Path

import numpy as np
import pytest

from ae_jax import analysis, configuration, runner
from ae_jax.errors import UserError

ROOT = Path(__file__).parents[1]
RNG = np.random.default_rng(0)
N = 40


def images(count):
    """uint8 [count, 4, 4] of all 256 levels."""
    return RNG.integers(0, 256, (count, 4, 4)).astype(np.uint8)


LABELS = {"classes": np.arange(N) % 3}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder of such images as CLASSES.npz, with these `LABELS`, and as plain.npy, without."""
    folder = tmp_path_factory.mktemp("labels")
    for name, label in LABELS.items():
        np.savez(folder / f"{name}.npz", x=images(N), label=label)
    np.save(folder / "plain.npy", images(N))
    return folder


def trained_on(file, workdir, config="cvae.py", **model):
    """The directory of a run of two steps on a file."""
    config = configuration.load(str(ROOT / "configs" / f"{config}:smoke"))
    config.data.update(source="files", path=str(file), validation=0)
    config.model.update(model)
    runner.train_run(config, str(workdir), say=lambda *_, **__: None)
    return str(workdir)


@pytest.fixture(scope="module")
def run(folder):
    """name -> directory of a conditional run on the file of that name, trained once."""
    made = {}

    def trained(name):
        if name not in made:
            made[name] = trained_on(folder / f"{name}.npz", folder / "runs" / name, conditional_prior=True)
        return made[name]

    return trained


def test_a_conditional_model_is_not_trained_on_data_without_labels(folder, tmp_path):
    with pytest.raises(UserError, match="needs labels, and these data have none\ntry"):
        trained_on(folder / "plain.npy", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_conditional_model_is_not_evaluated_on_data_without_labels(run, folder):
    plain = analysis.load(run("classes"), data=f"files:{folder / 'plain.npy'}")
    says = "plain.npy has no labels, and this model reads them\nexpected data with classes 0 to 2$"
    for read in (
        lambda: analysis.evaluate_run(plain, ["elbo"], {}),
        lambda: analysis.draw(plain, ["reconstructions"], {}, "png"),
    ):
        with pytest.raises(UserError, match=says):
            read()


def test_a_classifier_reads_labels_in_training_alone(folder, tmp_path):
    workdir = trained_on(folder / "classes.npz", tmp_path / "run", "classifier.py")
    plain = analysis.load(workdir, data=f"files:{folder / 'plain.npy'}")
    assert analysis.evaluate_run(plain, ["mse"], {})["mse_per_pixel"] > 0
    with pytest.raises(UserError, match="needs labels"):
        analysis.evaluate_run(plain, ["accuracy"], {})
