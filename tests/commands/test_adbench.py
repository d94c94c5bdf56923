"""The benchmark of anomaly detection: its protocol against published figures, and the page that shows its results."""

import os

import numpy as np
import pytest

from ae_jax.commands import adbench, adbench_tables
from ae_jax.core.errors import UserError
from ae_jax.experiments import configuration

# The AUC-ROC of the baselines by the same protocol, computed independently: IsolationForest, kNN, PCA.
PUBLISHED = {
    "thyroid": (0.982, 0.959, 0.873),
    "cardio": (0.932, 0.756, 0.880),
    "pendigits": (0.946, 0.722, 0.786),
    "musk": (0.997, 0.682, 0.793),
    "breastw": (0.989, 0.978, 0.960),
    "satellite": (0.697, 0.654, 0.605),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_baselines_are_those_of_the_protocol(name):
    found = adbench.read()[name]["auc_roc"]
    for method, expected in zip(adbench.BASELINES, PUBLISHED[name], strict=True):
        assert abs(np.mean(found[method]) - expected) <= 2 * np.std(found[method], ddof=1) + 5e-4


def test_the_stored_baselines_can_be_computed_again():
    if not os.environ.get("AE_JAX_DATA_DIR"):
        pytest.skip("AE_JAX_DATA_DIR is not set")
    with np.load(adbench.tables()["breastw"]) as stored:
        train, test, _, labels = adbench.split(stored["X"].astype(float), stored["y"].astype(int), 0)
    assert (train.min(axis=0) == 0).all() and np.allclose(train.max(axis=0), 1)
    assert len(test) == -(-683 * 3 // 10) and labels.sum() == 72  # 30 % of 239 anomalies
    entry = adbench.read()["breastw"]["auc_roc"]
    for method in adbench.BASELINES:
        area = adbench.detection.quality(labels == 1, adbench.baseline(method, train, test, 0))["auc_roc"]
        assert area == pytest.approx(entry[method][0], abs=1e-3)


def test_our_models_are_near_pca_or_above():
    large = {name: found for name, found in adbench.read().items() if found["rows"] >= adbench_tables.SMALL}
    assert len(adbench.read()) == 24 and len(large) == 22
    values = {name: each.mean() for name, each in adbench_tables.means(large, "auc_roc").items()}
    assert max(values["AE"], values["VAE"]) >= values["PCA"] - 0.02


def test_ranks_and_wins():
    entry = lambda a, b, c: {"auc_roc": {"a": [a, a], "b": [b, b], "c": [c, c]}}
    results = {"one": entry(0.9, 0.8, 0.7), "two": entry(0.6, 0.8, 0.6), "three": entry(0.5, 0.4, 0.3)}
    ranks = adbench_tables.mean_ranks(results, "auc_roc")
    assert ranks == pytest.approx({"a": (1 + 2.5 + 1) / 3, "b": (2 + 1 + 2) / 3, "c": (3 + 2.5 + 3) / 3})
    assert adbench_tables.wins(results, "auc_roc", "a", "b") == (2, 1)
    assert adbench_tables.wins(results, "auc_roc", "a", "c") == (2, 0)


def test_the_page_shows_the_stored_results():
    page = (configuration.ROOT / "docs" / "anomaly.md").read_text()
    table = adbench_tables.markdown(adbench.read())
    assert f"<!-- adbench -->\n{table}\n<!-- /adbench -->" in page, "render it: scripts/reproduce.py adbench --stored"


def test_missing_tables_are_named(monkeypatch, tmp_path):
    monkeypatch.setenv("AE_JAX_DATA_DIR", str(tmp_path))
    with pytest.raises(UserError, match="adbench.*\n.*ADBench"):
        adbench.tables()


@pytest.mark.long
def test_examples_far_from_the_others_are_found():
    generator = np.random.default_rng(0)
    x = generator.normal(size=(1, 400, 3)) @ generator.normal(size=(3, 6)) / 20 + 0.5
    test = np.concatenate([x[:, :50], generator.random((1, 50, 6))], axis=1)
    for model in adbench.MODELS:
        scores = adbench.trained_scores(model, x[:, 50:], test, [0])
        assert adbench.detection.quality(np.arange(100) >= 50, scores[0])["auc_roc"] > 0.9
