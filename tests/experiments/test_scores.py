"""Scores of examples, against closed forms, NumPy and scikit-learn."""

import csv
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
import sklearn.decomposition
import sklearn.metrics

from ae_jax.commands.apply import outliers, shared
from ae_jax.core.errors import UserError
from ae_jax.core.types import DataSpec
from ae_jax.data.batching import Batches
from ae_jax.evaluation import detection, scores
from ae_jax.evaluation.data import EvalData
from ae_jax.evaluation.metrics import anomaly
from ae_jax.experiments import analysis, configuration, runner, using
from ae_jax.models import ae, vae
from ae_jax.models.likelihoods import gaussian
from ae_jax.models.nets import mlp
from ae_jax.plots.figures import scores as figure

KEY = jax.random.key(0)
generator = np.random.default_rng(0)
X = (generator.normal(size=(40, 6)) @ generator.normal(size=(6, 5)) + 3).astype(np.float32)
SPEC = DataSpec((5,), "reals", classes=2)
NORMAL = functools.partial(gaussian.Likelihood, scale=0.5)
PARTS = {"encoder": mlp.Encoder(()), "decoder": mlp.Decoder(()), "likelihood": NORMAL, "latent_dim": 2}


def batch_of(x):
    return {"x": x, "inputs": x, "mask": np.ones(len(x), np.float32)}


def of(model, variables, x, **options):
    found = jax.jit(lambda v, b: scores.of_batch(model, v, b, KEY, **options))(variables, batch_of(x))
    return {name: np.asarray(values) for name, values in found.items()}


def test_a_linear_autoencoder_with_the_weights_of_pca_has_its_residuals_as_scores():
    pca = sklearn.decomposition.PCA(2).fit(X.astype(np.float64))
    model = ae.Model(SPEC, **PARTS)
    weights, mean = pca.components_.astype(np.float32), pca.mean_.astype(np.float32)
    template = model.init(KEY, batch_of(X))["params"]
    values = {(5, 2): weights.T, (2,): -weights @ mean, (2, 5): weights, (5,): mean}
    params = jax.tree.map(lambda leaf: jnp.asarray(values[leaf.shape]), template)
    found = of(model, {"params": params}, X, features=True)
    rest = X - pca.inverse_transform(pca.transform(X.astype(np.float64)))
    np.testing.assert_allclose(found["mse"], np.square(rest).mean(axis=1), atol=1e-5)
    np.testing.assert_allclose(found["errors"], np.square(rest), atol=1e-5)
    assert "elbo" not in found and scores.default(found) == "mse"
    nats = -scipy.stats.norm(0, 0.5).logpdf(rest).sum(axis=1)
    np.testing.assert_allclose(found["reconstruction"], nats, atol=1e-3)


def linear_vae():
    """Return (model, variables, covariance): p(x) is a normal distribution with mean zero."""
    model = vae.Model(SPEC, **PARTS)
    template = model.init({"params": KEY, "latent": KEY}, batch_of(X))
    variables = jax.tree.map(lambda leaf: jax.random.normal(jax.random.key(leaf.size), leaf.shape) / 3, template)
    kernel = next(leaf for leaf in jax.tree.leaves(variables["params"]["decoder"]) if leaf.shape == (2, 5))
    zero = lambda leaf: jnp.zeros_like(leaf) if leaf.ndim == 1 else leaf
    variables = jax.tree.map(zero, variables)
    return model, variables, np.asarray(kernel.T @ kernel) + 0.25 * np.eye(5)


def test_the_terms_of_the_elbo_and_the_estimate_of_the_likelihood():
    model, variables, covariance = linear_vae()
    x = (X[:6] - 3) / 5  # near the prior, where importance weights have no heavy tails
    found = of(model, variables, x, samples=4)
    np.testing.assert_allclose(found["elbo"], -found["reconstruction"] - found["kl"], rtol=1e-5)
    latent = model.apply(variables, batch_of(x), method="encode", rngs={"latent": KEY})[0]
    mean, scale = np.asarray(latent.posterior.mean), np.exp(np.asarray(latent.posterior.log_scale))
    expected = 0.5 * (mean**2 + scale**2 - 1 - 2 * np.log(scale)).sum(axis=-1)
    np.testing.assert_allclose(found["kl"], expected, rtol=1e-4)
    keys = jax.random.split(KEY, len(x))
    estimate = jax.jit(lambda v, b: scores.nll_of_examples(model, v, b, keys, 4000, 500))(variables, batch_of(x))
    exact = -scipy.stats.multivariate_normal(np.zeros(5), covariance).logpdf(x)
    error = np.asarray(estimate["nll_se"])
    assert (error > 0).all() and (np.abs(np.asarray(estimate["nll"]) - exact) < 4 * error + 1e-3).all()


def test_the_metric_and_the_figure_are_scikit_learns():
    model, variables, _ = linear_vae()
    label = (np.arange(40) % 4 == 0).astype(np.int32)
    batches = Batches({"x": X + 2 * label[:, None], "label": label}, SPEC, 16)
    data = EvalData.of(train=batches, test=batches)
    result = anomaly.evaluate(model, variables, data, KEY, score="mse", bootstrap=20)
    values = of(model, variables, X + 2 * label[:, None].astype(np.float32))["mse"]
    assert result["anomaly_auc_roc"] == pytest.approx(sklearn.metrics.roc_auc_score(label, values))
    assert result["anomaly_auc_pr"] == pytest.approx(sklearn.metrics.average_precision_score(label, values))
    flagged = values >= np.sort(values)[-10]
    assert result["anomaly_f1"] == pytest.approx(sklearn.metrics.f1_score(label, flagged))
    assert 0 < result["anomaly_auc_roc_se"] < 0.2
    arrays = figure.arrays(model, variables, data, KEY, score="mse")
    np.testing.assert_allclose(
        arrays["auc_roc"], np.trapezoid(arrays["true_positive_rate"], arrays["false_positive_rate"])
    )
    with pytest.raises(UserError, match="'2'.*anomaly_outlier|anomaly_outlier.*'2'"):
        anomaly.evaluate(model, variables, data, KEY, outlier=("2",))


def test_thresholds_are_those_of_numpy():
    training, values = np.arange(100.0), np.array([50.0, 94.0, 96.0, 300.0])
    assert outliers.flagged("quantile:0.95", values, training).tolist() == [False, False, True, True]
    spread = 1.4826 * np.median(np.abs(training - 49.5))
    expected = [False, False, False, 300 > 49.5 + 3 * spread]
    assert outliers.flagged("mad", values, training).tolist() == expected
    assert outliers.flagged("contamination:0.5", values).tolist() == [False, False, True, True]
    for text in ("quantile", "quantile:2", "contamination:-1", "three"):
        with pytest.raises(UserError, match=f"{text}.*\n.*mad"):
            outliers.check(text)
    assert detection.most_anomalous(np.array([1.0, 3.0, 3.0, 0.0]), 3).tolist() == [1, 2, 0]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    config = configuration.load("configs/vae.py:smoke")
    config.train.update(steps=1, eval_every=0)
    workdir = str(tmp_path_factory.mktemp("vae") / "run")
    runner.train_run(config, workdir, say=lambda *_, **__: None)
    return analysis.load(workdir)


def test_the_task_writes_a_line_for_each_example(run, tmp_path):
    options = {"threshold": "contamination:0.1", "samples": 2, "nll_samples": 3, "features": True}
    np.savez(tmp_path / "some.npz", x=np.asarray(run.splits["test"]["x"][:20]), label=np.arange(20) % 10)
    paths, _ = shared.apply(run, "score", str(tmp_path / "some.npz"), str(tmp_path / "out"), options)
    header, *rows = csv.reader(paths[0].read_text().splitlines())
    first = ["file", "label", "mse", "reconstruction", "kl", "elbo", "nll", "nll_se", "outlier"]
    assert paths[0].name == "scores.csv" and header[:9] == first and header[9] == "error_0_0_0"
    table = np.array([row[1:] for row in rows], np.float64)
    assert table.shape == (20, 8 + 64) and table[:, 7].sum() == 2 and table[3, 0] == 3
    np.testing.assert_allclose(table[:, 8:].mean(axis=1), table[:, 1], rtol=1e-5)
    # Reconstructions are not rounded to 8 bits.
    x = run.splits["test"]["x"][:20] / np.float32(run.spec.levels - 1)
    np.testing.assert_allclose(table[:, 1], np.square(x - using.reconstruct(run, x)).mean(axis=(1, 2, 3)), rtol=1e-4)


def test_batch_sizes_do_not_matter_and_own_data_are_scored(run, tmp_path):
    x = run.splits["test"]["x"][:23]
    one, other = (using.score(run, x, samples=2, batch_size=size) for size in (7, 23))
    for name in one:
        np.testing.assert_allclose(one[name], other[name], rtol=1e-5, atol=1e-5)
    paths, _ = shared.apply(run, "score", "", str(tmp_path), {"threshold": "quantile:0.95", "samples": 1})
    assert len(paths[0].read_text().splitlines()) == 1 + len(run.splits["test"]["x"])
