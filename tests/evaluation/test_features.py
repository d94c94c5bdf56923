"""Scores of samples by features: closed forms, hand-checked cases, and a run's features from its directory."""

import jax
import numpy as np
import pytest
from scipy import linalg

from ae_jax.core.errors import UserError
from ae_jax.data.batching import Batches
from ae_jax.evaluation import features
from ae_jax.evaluation.metrics import density_coverage, fid, kid, precision_recall
from ae_jax.experiments import analysis, runner
from configs import ae, classifier, vae

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(300, 4)) @ RNG.normal(size=(4, 4))
METRICS = {
    "fid": ["fid"],
    "kid": ["kid"],
    "precision_recall": ["precision", "recall"],
    "density_coverage": ["density", "coverage"],
}


def test_the_frechet_distance_of_a_set_from_itself_is_zero_and_of_two_normals_that_of_the_closed_form():
    assert fid.score(ROWS, ROWS)["fid"] == pytest.approx(0, abs=1e-8)
    mean, factor = np.array([1.0, 0.0, -0.5, 2.0]), RNG.normal(size=(4, 4))
    other = RNG.normal(size=(300, 4))
    other = (other - other.mean(axis=0)) @ linalg.inv(linalg.sqrtm(np.cov(other.T))) @ factor + mean
    one = ROWS - ROWS.mean(axis=0)
    first, second = np.cov(one.T), factor.T @ factor
    expected = mean @ mean + np.trace(first + second - 2 * linalg.sqrtm(first @ second).real)
    assert fid.score(one, other)["fid"] == pytest.approx(expected, rel=1e-6)
    assert fid.score(one + 3, other + 3)["fid"] == pytest.approx(expected, rel=1e-6)


def test_the_kernel_distance_is_unbiased():
    """Of two halves of one set its mean is zero; with each point beside itself it would not be."""
    halves = [np.split(RNG.permutation(RNG.normal(size=(40, 4))), 2) for _ in range(400)]
    draws = np.array([kid.mmd2(*pair) for pair in halves])
    error = draws.std() / np.sqrt(len(draws))
    itself = np.mean([np.square(rows).sum(axis=1) / 4 + 1 for rows in np.concatenate(halves)] ** np.array(3)) / 20
    assert abs(draws.mean()) < 4 * error < itself
    # By hand, in one dimension: k(a, a') = 1, k(b, b') = 1, and (0 * b + 1)^3 = 1 but for b = 1.
    a, b = np.array([[0.0], [0.0]]), np.array([[0.0], [1.0]])
    assert kid.mmd2(a, b) == pytest.approx(0)
    assert kid.mmd2(a, b + 1) == pytest.approx(1 + 27 - 2)


def test_the_kernel_distance_does_not_ask_how_examples_are_sorted():
    clusters = lambda: np.repeat(4 * np.eye(10), 100, axis=0) + RNG.normal(size=(1000, 10))
    found = kid.score(RNG.permutation(clusters()), clusters())
    assert abs(found["kid"]) < 5 * found["kid_se"]


def test_precision_recall_density_and_coverage_by_hand():
    """On a line, with the nearest neighbour: real ones reach 1, 1, 1 and 7; samples 0.4, 0.4 and 99.6."""
    real, samples = np.array([[0.0], [1.0], [2.0], [9.0]]), np.array([[0.5], [0.9], [100.5]])
    found = precision_recall.score(samples, real, 1)
    assert found == {"precision": pytest.approx(2 / 3), "recall": pytest.approx(3 / 4)}
    # 0.5 lies in the balls of 0 and 1, 0.9 in those of 0 and 1; none holds the last sample.
    found = density_coverage.score(samples, real, 1)
    assert found == {"density": pytest.approx(4 / 3), "coverage": pytest.approx(2 / 4)}
    assert density_coverage.score(ROWS, ROWS, 5)["coverage"] == 1


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    for name, config in (("vae", vae), ("plain", ae), ("classes", classifier)):
        runner.train_run(config.get_config("smoke").lock(), str(folder / name), say=lambda *_, **__: None)
    return folder


def evaluate(runs, metric, run="vae", **options):
    trained = analysis.load(str(runs / run), limit=60, batch_size=25)
    return analysis.evaluate_run(trained, [metric], {f"{metric}_{name}": value for name, value in options.items()})


@pytest.mark.parametrize("metric", METRICS)
def test_the_code_of_a_run_is_named_in_the_metric_with_the_floor_and_the_digest(runs, metric):
    record = evaluate(runs, metric, features=str(runs / "classes"))
    for name in METRICS[metric]:
        assert np.isfinite([record[f"{name}_classes"], record[f"{name}_classes_floor"]]).all()
    assert metric != "kid" or record["kid_classes_floor_se"] > 0
    assert record[f"{metric}_examples"] == 60
    digest = record[f"{metric}_features_digest"]
    other = evaluate(runs, metric, features=str(runs / "plain"))[f"{metric}_features_digest"]
    assert len(digest) == 12 and digest != other


def test_the_floor_is_of_all_training_examples_however_they_are_sorted(runs):
    trained = analysis.load(str(runs / "vae"), limit=60)
    x = np.repeat([0, 16], 150).astype(np.uint8)[:, None, None, None] * np.ones((8, 8, 1), np.uint8)
    data = trained.data.replace(train=Batches({"x": x}, trained.experiment.spec, 50))
    key, model = jax.random.key(0), trained.experiment.model
    found = features._of_run(str(runs / "classes"), model, trained.variables, data, key, "prior")
    assert len(found.rows["train"]) == 60 and len(np.unique(found.rows["train"].round(4), axis=0)) == 2


def test_a_plain_autoencoder_takes_a_sampler(runs):
    with pytest.raises(UserError, match="no prior.*\n.*mixture"):
        evaluate(runs, "fid", "plain", features=str(runs / "classes"))
    assert evaluate(runs, "fid", "plain", features=str(runs / "classes"), sampler="gaussian")["fid_classes"] > 0


def test_features_from_a_file(runs, tmp_path):
    rows = ROWS[np.argsort(ROWS[:, 0])]  # of sorted sets the first are unlike the others
    sets = {"samples": rows + 1, "test": rows, "train": rows[np.linspace(0, 299, 200).round().astype(int)]}
    np.savez(tmp_path / "mine.npz", **sets)
    record = evaluate(runs, "fid", features=str(tmp_path / "mine.npz"))
    assert record["fid_mine"] == pytest.approx(4, rel=1e-6) and record["fid_mine_floor"] == pytest.approx(0, abs=1e-6)
    assert record["fid_examples"] == 200
    np.savez(tmp_path / "less.npz", samples=ROWS)
    np.savez(tmp_path / "one.npz", **{name: rows[:1] for name, rows in sets.items()})
    np.savez(tmp_path / "nan.npz", **{**sets, "train": ROWS * np.nan})
    np.savez(tmp_path / "uneven.npz", **{**sets, "train": ROWS[:, :3]})
    (tmp_path / "damaged.npz").write_bytes((tmp_path / "mine.npz").read_bytes()[:500])
    (tmp_path / "empty.npz").touch()
    mistakes = {"": "fid_features=RUN", "less.npz": "'test'", "none.npz": "no file", "one.npz": "1 examples of each"}
    mistakes |= {"nan.npz": "not all finite", "uneven.npz": r"\(300, 3\)", "damaged.npz": "cannot be read"}
    mistakes |= {"empty.npz": "cannot be read"}
    for file, message in mistakes.items():
        with pytest.raises(UserError, match=message):
            evaluate(runs, "fid", features=file and str(tmp_path / file))


def test_a_classifier_learns_and_wants_labels(tmp_path):
    config = classifier.get_config("digits")
    config.train.update(steps=200, eval_every=200)
    config.model.hidden = (32,)
    summary = runner.train_run(config.lock(), str(tmp_path / "run"), say=lambda *_, **__: None)
    assert summary.metrics["accuracy"] > 0.85
    np.save(tmp_path / "images.npy", np.zeros((300, 8, 8, 1), np.uint8))
    config = classifier.get_config("smoke")
    config.data.update(source="files", path=str(tmp_path / "images.npy"), validation=0)
    with pytest.raises(UserError, match="a classifier needs classes"):
        runner.train_run(config.lock(), str(tmp_path / "none"))
    assert not (tmp_path / "none").exists()
