"""Labels that models read, through the commands' own functions: where they lack, and where they are vectors."""

from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

from ae_jax.commands.apply import shared
from ae_jax.core.errors import UserError
from ae_jax.core.types import DataSpec
from ae_jax.data.sources import files
from ae_jax.experiments import analysis, configuration, experiment, runner
from ae_jax.plots.figures import class_grid

ROOT = Path(__file__).parents[2]
RNG = np.random.default_rng(0)
N = 40


def images(count):
    """uint8 [count, 4, 4] of all 256 levels."""
    return RNG.integers(0, 256, (count, 4, 4)).astype(np.uint8)


LABELS = {"classes": np.arange(N) % 3, "vectors": RNG.normal(size=(N, 3)).astype(np.float16)}


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
    says = "plain.npy has no labels that this model reads\nexpected data with classes 0 to 2$"
    with pytest.raises(UserError, match=says):
        analysis.evaluate_run(plain, ["elbo"], {})
    with pytest.raises(UserError, match=says):
        analysis.draw(plain, ["reconstructions"], {}, "png")


def test_a_classifier_reads_labels_in_training_alone(folder, tmp_path):
    workdir = trained_on(folder / "classes.npz", tmp_path / "run", "classifier.py")
    plain = analysis.load(workdir, data=f"files:{folder / 'plain.npy'}")
    assert analysis.evaluate_run(plain, ["mse"], {})["mse_per_pixel"] > 0
    with pytest.raises(UserError, match="needs labels"):
        analysis.evaluate_run(plain, ["accuracy"], {})


# --- labels that are vectors ------------------------------------------------------------------------------------------


def test_vectors_are_read_and_held_out_with_their_examples(folder):
    spec, splits = files.load(str(folder / "vectors.npz"))
    assert spec == DataSpec((4, 4, 1), "pixels", label_dim=3)
    stored = np.load(folder / "vectors.npz")
    place = {x.tobytes(): label for x, label in zip(stored["x"], LABELS["vectors"], strict=True)}
    for side in splits.values():
        assert side["label"].dtype == np.float32
        np.testing.assert_array_equal(side["label"], [place[x.tobytes()] for x in side["x"]])


@pytest.mark.parametrize("wrong", [{"data.labelled": 3}, {"model.name": "classifier"}])
def test_what_needs_classes_refuses_vectors(folder, tmp_path, wrong):
    config = configuration.load(str(ROOT / "configs" / "classifier.py:smoke"))
    config.data.update(source="files", path=str(folder / "vectors.npz"), validation=0)
    config.update_from_flattened_dict(wrong)
    with pytest.raises(UserError, match="classes"):
        runner.train_run(config, str(tmp_path / "run"))


def decoded(trained, z, label):
    """Means [N, 4, 4] at codes z [N, D]."""
    batch = {"label": np.float32(label), "mask": np.ones(len(z))}
    mean = trained.experiment.model.apply(trained.variables, (np.float32(z)[None],), batch, method="decode").mean
    return np.asarray(mean)[0, ..., 0]


def encoded(trained, x, label):
    """Codes [N, D] of x [N, 4, 4] uint8."""
    x = np.float32(x)[..., None] / 255
    batch = {"x": x, "inputs": x, "label": np.float32(label), "mask": np.ones(len(x))}
    return np.asarray(trained.experiment.model.apply(trained.variables, batch, rngs={"latent": jax.random.key(0)}).code)


def test_a_prior_of_labels_is_no_prior_of_all_codes(run):
    with pytest.raises(UserError, match="needs one prior for all examples, .*\nuse"):
        analysis.evaluate_run(analysis.load(run("classes")), ["aggregate_kl"], {})


def test_a_model_of_vectors_is_evaluated_and_drawn(run, folder):
    trained = analysis.load(run("vectors"))
    scores = analysis.evaluate_run(trained, ["elbo", "nll", "mse", "pca_mse"], {"nll_samples": 2, "nll_chunk": 2})
    assert {"elbo", "mse_per_pixel", "pca_mse_per_pixel"} < set(scores)
    assert all(np.isfinite(value) for value in scores.values() if isinstance(value, float))
    names = ["reconstructions", "scatter", "interpolations", "traversals", "latent_noise"]
    analysis.draw(trained, names, {"traversals_example": 2, "interpolations_count": 1}, "png")
    test = trained.data.test.arrays
    path = np.load(f"{run('vectors')}/figures/interpolations.npz")["path"][..., 0]
    z = encoded(trained, test["x"][:1, ..., 0], test["label"][:1])
    np.testing.assert_allclose(path[0, :1], decoded(trained, z, test["label"][:1]), atol=1e-5)
    assert "label" not in np.load(f"{run('vectors')}/figures/scatter.npz")


@pytest.mark.parametrize("figure", ["class_grid", "samples", "manifold", "explorer", "code_and_prior"])
def test_a_figure_of_classes_refuses_vectors(run, figure):
    with pytest.raises(UserError, match=r"vectors \[N, 3\].*\n(try|use)"):
        analysis.draw(analysis.load(run("vectors")), [figure], {}, "png")


def test_a_grid_of_classes_refuses_vectors_whose_prior_does_not_read_them(folder):
    config = configuration.load(str(ROOT / "configs" / "cvae.py:smoke"))
    config.data.update(source="files", path=str(folder / "vectors.npz"), validation=0)
    built = experiment.build(config)
    variables = {"params": built.init(jax.random.key(0)).params}
    with pytest.raises(UserError, match=r"class_grid.*vectors \[N, 3\]"):
        class_grid.arrays(built.model, variables, {}, jax.random.key(0))


def test_a_model_that_reads_no_labels_is_drawn_whatever_they_are(folder, tmp_path):
    workdir = trained_on(folder / "vectors.npz", tmp_path / "run", "vae.py")
    analysis.draw(
        analysis.load(workdir), ["samples", "manifold", "code_and_prior", "explorer", "traversals"], {}, "png"
    )


@pytest.mark.parametrize("metric", ["probe", "accuracy", "mmd_to_prior"])
def test_a_metric_of_classes_refuses_vectors(run, metric):
    with pytest.raises(UserError, match="needs (classes|a classifier)|is given classes"):
        analysis.evaluate_run(analysis.load(run("vectors")), [metric], {})


@pytest.mark.parametrize(("name", "other"), [("vectors", "classes"), ("classes", "vectors")])
def test_labels_of_another_kind_are_no_labels(run, folder, name, other):
    with pytest.raises(UserError, match="has no labels that this model reads"):
        analysis.evaluate_run(analysis.load(run(name), data=f"files:{folder / other}.npz"), ["elbo"], {})


def test_vectors_of_another_width_are_refused(run, tmp_path):
    np.savez(tmp_path / "wide.npz", x=images(20), label=np.zeros((20, 5)))
    with pytest.raises(UserError, match="has no labels that this model reads"):
        analysis.evaluate_run(analysis.load(run("vectors"), data=f"files:{tmp_path / 'wide.npz'}"), ["elbo"], {})


def apply(trained, task, source, output, **options):
    (path,), _ = shared.apply(trained, task, str(source), str(output), options)
    return np.load(path)


def test_the_users_vectors_go_with_the_users_examples_and_codes(run, tmp_path):
    trained, x, label = analysis.load(run("vectors")), images(5), RNG.normal(size=(5, 3))
    np.savez(tmp_path / "examples.npz", x=x, label=label)
    z = encoded(trained, x, label)
    found = apply(trained, "reconstruct", tmp_path / "examples.npz", tmp_path / "out", batch_size=2)["x"]
    np.testing.assert_allclose(found, np.rint(255 * decoded(trained, z, label)), atol=1)

    np.savez(tmp_path / "codes.npz", code=z, names=[f"{n}.png" for n in range(5)], label=label[::-1])
    paths, _ = shared.apply(trained, "decode", str(tmp_path / "codes.npz"), str(tmp_path / "out"), {"batch_size": 2})
    found = [np.asarray(Image.open(path)) for path in paths]
    np.testing.assert_allclose(found, 255 * decoded(trained, z, label[::-1]), atol=1)

    for n in range(2):
        np.savez(tmp_path / f"{n}.npz", x=x[n : n + 1], label=label[n : n + 1])
    ends = ",".join(str(tmp_path / f"{n}.npz") for n in range(2))
    found = apply(trained, "interpolate", ends, tmp_path / "out", steps=3)["x"]
    np.testing.assert_allclose(found[2], 255 * decoded(trained, z[1:2], label[:1])[0], atol=1)

    np.savez(tmp_path / "labels.npz", label=label[:2])
    options = {"count": 3, "temperature": 0.0}
    paths, _ = shared.apply(trained, "sample", str(tmp_path / "labels.npz"), str(tmp_path / "out"), options)
    prior = jax.device_get(trained.variables["params"]["p_z_given_y"])
    mean = (label[[0, 1, 0]] @ prior["kernel"] + prior["bias"])[:, :2]
    found = [np.asarray(Image.open(path)) for path in paths]
    np.testing.assert_allclose(found, 255 * decoded(trained, mean, label[[0, 1, 0]]), atol=1)


BAD = {
    "vectors of one": ("classes", "encode", np.zeros((4, 1)), r"labels \[N, 1\].*--label=CLASS, of classes 0 to 2"),
    "vectors of another width": (
        "vectors",
        "encode",
        np.zeros((4, 2)),
        r"\[N, 2\].*an .npz whose label is vectors \[N, 3\]",
    ),
    "not finite": ("vectors", "encode", np.full((4, 3), np.nan), "none that this model reads"),
    "words": ("vectors", "encode", np.full((4, 3), "a"), "none that this model reads"),
    "classes": ("vectors", "encode", np.arange(4), "'0' is no class"),
    "too few": ("vectors", "decode", np.zeros((3, 3)), r"\[3, 3\].*N = 4"),
    "a number": ("vectors", "sample", np.zeros(()), r"labels \[\]"),
    "none": ("vectors", "encode", None, "no labels"),
}


@pytest.mark.parametrize("case", BAD)
def test_wrong_labels_are_said_in_two_lines(run, tmp_path, case):
    name, task, label, message = BAD[case]
    labels = {} if label is None else {"label": label}
    np.savez(tmp_path / "bad.npz", x=images(4), code=np.zeros((4, 2)), **labels)
    with pytest.raises(UserError, match=f"(?s){message}") as raised:
        shared.apply(analysis.load(run(name)), task, str(tmp_path / "bad.npz"), str(tmp_path / "out"), {})
    assert len(str(raised.value).splitlines()) <= 2 and not (tmp_path / "out").exists()
