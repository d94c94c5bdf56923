"""Scores against scikit-image, scikit-learn, numpy and closed forms."""

import contextlib
import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.spatial
import scipy.stats
import skimage.metrics
import skimage.transform
import sklearn.decomposition
import sklearn.linear_model
import sklearn.model_selection
import sklearn.neighbors
import sklearn.preprocessing
from PIL import Image

from ae_jax.core import lookup, mmd
from ae_jax.core.distributions import Normal
from ae_jax.core.errors import UserError
from ae_jax.core.types import DataSpec, Latent, Outputs
from ae_jax.data.batching import Batches
from ae_jax.evaluation import projections
from ae_jax.evaluation.data import EvalData
from ae_jax.experiments import analysis, experiment, runner
from ae_jax.models.base import Family
from configs import aae as aae_config
from configs import ae as ae_config
from configs import iwae

KEY = jax.random.key(3)
N, TRAIN = 23, 31  # no multiples of the batch size: the last batch is padded


class Echo(Family):
    """Answers its inputs; its code is a fixed linear map of them, its prior N(0, I)."""

    weights: tuple

    def __call__(self, batch):
        inputs = batch["inputs"]
        code = inputs.reshape(len(inputs), -1) @ jnp.asarray(self.weights)
        return Outputs(Normal(inputs[None], jnp.zeros(()), 3), (Latent(code[None]),), code)


def echo(noise=0.0, shape=(28, 20, 1), dims=3):
    """(model, data, x, inputs): N smooth images, and what the model answers to them, noisy versions of themselves. The
    training split has TRAIN others.
    """
    generator = np.random.default_rng(0)
    rough = generator.random((N + TRAIN, 7, 5, 1))
    x = np.stack([skimage.transform.resize(image, shape) for image in rough])
    x = np.round(255 * x).astype(np.uint8)
    noisy = np.asarray(x / 255 + noise * generator.normal(size=x.shape), np.float32).clip(0, 1)
    spec = DataSpec(shape, classes=2)
    arrays = {"x": x, "noisy": noisy, "label": (x.mean(axis=(1, 2, 3)) > 127).astype(np.int32)}
    finish = lambda step, batch: {**batch, "inputs": batch["noisy"]}
    side = lambda part: Batches({name: rows[part] for name, rows in arrays.items()}, spec, 10, finish)
    weights = tuple(map(tuple, generator.normal(size=(np.prod(shape), dims)) / 30))
    data = EvalData.of(train=side(slice(N, None)), test=side(slice(N)), metrics=[])
    return Echo(spec, weights), data, x[:N] / 255, noisy[:N]


def training_rows(data):
    """The training images as rows, [TRAIN, P]."""
    return data.train.arrays["x"].reshape(TRAIN, -1) / 255


def score(name, model, data, **options):
    return lookup.find("metrics", name, "evaluate")(model, {}, data, KEY, **options)


@pytest.mark.parametrize(("metric", "lack"), [("nll", "random"), ("collapse", "random"), ("ais", "log_joint")])
def test_a_metric_that_does_not_fit_is_found_before_the_run_directory_is_there(metric, lack, tmp_path):
    config = ae_config.get_config("smoke")
    config.eval.metrics = ("mse", metric)
    with pytest.raises(UserError, match=lack):
        runner.train_run(config, str(tmp_path / "run"))
    assert not (tmp_path / "run").exists()


# What no VAE on digits answers without options: scores of classifiers, melodies, modes, and of features to be named.
REFUSED = ("accuracy", "anomaly", "density_coverage", "fid", "kid", "melodies", "own_mode", "precision_recall")
# {metric of discrete latents: what it says that this latent is not}.
DISCRETE = {"bits": "not discrete", "codebook": "not discrete", "residual_levels": "needs codes of several levels"}


@pytest.mark.parametrize("metric", lookup.choices("metrics"))
def test_every_metric_is_asked_on_shapes_alone(metric):
    """It answers nothing before it asks the model, or refuses a model that it does not fit."""
    config = iwae.get_config("smoke,k=2")
    config.eval.metrics = (metric,)
    lacks = DISCRETE | {name: f"^metric '{name}' " for name in REFUSED}
    refusal = pytest.raises(UserError, match=lacks[metric]) if metric in lacks else contextlib.nullcontext()
    with refusal:
        analysis.check_metrics(experiment.build(config))


def test_restoration_is_scored_as_scikit_image_does():
    model, data, x, inputs = echo(noise=0.1)
    psnr = [skimage.metrics.peak_signal_noise_ratio(a, b, data_range=1) for a, b in zip(x, inputs)]
    window = dict(gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1)
    full = [
        skimage.metrics.structural_similarity(a[..., 0], b[..., 0], full=True, **window)[1] for a, b in zip(x, inputs)
    ]
    ssim = [image[5:-5, 5:-5].mean() for image in full]
    for metrics, prefix in ((("psnr", "ssim"), ""), (("baselines",), "baseline_")):
        scores = {key: value for name in metrics for key, value in score(name, model, data).items()}
        np.testing.assert_allclose(scores[f"{prefix}psnr_db"], np.mean(psnr), rtol=1e-5)
        np.testing.assert_allclose(scores[f"{prefix}psnr_db_se"], np.std(psnr, ddof=1) / np.sqrt(N), rtol=1e-4)
        np.testing.assert_allclose(scores[f"{prefix}ssim"], np.mean(ssim), rtol=1e-4)


@pytest.mark.parametrize("size", [7, 14])
def test_enlargement_is_pillows_bicubic(size):
    model, data, x, _ = echo(shape=(28, 28, 1))
    small = x.reshape(N, size, 28 // size, size, 28 // size, 1).mean(axis=(2, 4)).astype(np.float32)
    smaller = dataclasses.replace(data.test, arrays={**data.test.arrays, "noisy": small})
    found = score("baselines", model, EvalData.of(test=smaller))
    enlarge = lambda image: Image.fromarray(image).resize((28, 28), Image.Resampling.BICUBIC)
    enlarged = np.stack([np.asarray(enlarge(image)) for image in small[..., 0]]).clip(0, 1)
    psnr = [skimage.metrics.peak_signal_noise_ratio(a[..., 0], b, data_range=1) for a, b in zip(x, enlarged)]
    np.testing.assert_allclose(found["baseline_psnr_db"], np.mean(psnr), rtol=1e-4)


def test_errors_per_pixel():
    model, data, x, inputs = echo(noise=0.2)
    np.testing.assert_allclose(score("mse", model, data)["mse_per_pixel"], np.square(x - inputs).mean(), rtol=1e-5)
    np.testing.assert_allclose(score("mae", model, data)["mae_per_pixel"], np.abs(x - inputs).mean(), rtol=1e-5)
    p = inputs.clip(np.float32(1e-7), np.float32(1 - 1e-7)).astype(np.float64)
    bce = -(x * np.log(p) + (1 - x) * np.log1p(-p)).mean()
    scores = score("bce", model, data)
    np.testing.assert_allclose(scores["bce_nats_per_pixel"], bce, rtol=1e-4)
    floor = scipy.stats.bernoulli.entropy(x).mean()
    np.testing.assert_allclose(scores["bce_nats_per_pixel_floor"], floor, rtol=1e-4)


@pytest.mark.parametrize("offset", [0, 1, 100, 10_000])
def test_pca_of_data_far_from_zero_is_scikit_learns(offset):
    """PCA of rank 5 leaves little of data of rank 6, wherever their mean lies."""
    generator = np.random.default_rng(0)
    signal = generator.normal(size=(3 * N, 6)) * [9, 8, 7, 6, 5, 0.5] @ generator.normal(size=(6, 30))
    rows = (signal + offset).astype(np.float32)
    side = lambda part: Batches({"x": rows[part]}, DataSpec((30,), "reals"), 10)
    data = EvalData.of(train=side(slice(N, None)), test=side(slice(N)))
    model = Echo(DataSpec((30,), "reals"), tuple(map(tuple, generator.normal(size=(30, 5)))))
    fitted, tested = rows[N:].astype(np.float64), rows[:N].astype(np.float64)
    pca = sklearn.decomposition.PCA(5, svd_solver="full").fit(fitted)
    expected = np.square(tested - pca.inverse_transform(pca.transform(tested))).mean()
    np.testing.assert_allclose(score("pca_mse", model, data)["pca_mse_per_pixel"], expected, rtol=1e-6)
    points, _ = projections.plane(rows[N:], "pca")
    np.testing.assert_allclose(np.abs(points), np.abs(pca.transform(fitted)[:, :2]), rtol=1e-6, atol=1e-6)


def test_pca_is_scikit_learns():
    model, data, x, _ = echo(dims=4)
    rows = x.reshape(N, -1)
    pca = sklearn.decomposition.PCA(4, svd_solver="full").fit(training_rows(data))
    expected = np.square(rows - pca.inverse_transform(pca.transform(rows))).mean()
    np.testing.assert_allclose(score("pca_mse", model, data)["pca_mse_per_pixel"], expected, rtol=1e-4)


def test_codes_are_counted_in_the_mode_of_their_class():
    """The nearest of ten modes on a circle, which are equally likely and equally wide."""
    config = aae_config.get_config("circle,labelled,smoke")
    built = experiment.build(config)
    trained = built.init(KEY)
    data = EvalData.of(test=built.held_out({key: rows[:300] for key, rows in built.splits["train"].items()}, 128))
    scale = 40.0  # codes of an untrained encoder lie at the middle
    params = {**trained.params, "z": jax.tree.map(lambda leaf: scale * leaf, trained.params["z"])}
    score = lookup.find("metrics", "own_mode", "evaluate")(built.model, {"params": params}, data, KEY)
    label, x = built.splits["train"]["label"][:300], data.test.arrays["x"]
    batch = {"inputs": jnp.asarray(x, jnp.float32) / 16, "label": label, "mask": jnp.ones(300)}
    codes = built.model.apply({"params": params}, batch, rngs={"latent": KEY}).code
    angle = 2 * np.pi * np.arange(10) / 10
    distance = np.square(np.asarray(codes)[:, None] - 4 * np.stack([np.cos(angle), np.sin(angle)], axis=1)).sum(axis=2)
    expected = np.mean(distance.argmin(axis=1) == label)
    assert 0 < expected < 1 and np.isclose(score["own_mode_share"], expected)


def test_the_discrepancy_of_codes_from_the_prior_is_gretton_and_others():
    """Equation 3 of Gretton et al. 2012 in two loops of Python; zero in the mean where the codes are the prior's."""
    generator = np.random.default_rng(1)
    z, draws = generator.normal(size=(9, 2)) + 1, generator.normal(size=(9, 2))
    kernel = lambda a, b: np.exp(-np.square(a - b).sum() / (2 * 1.5))
    pairs = [(i, j) for i in range(9) for j in range(9)]
    within = lambda rows: np.mean([kernel(rows[i], rows[j]) for i, j in pairs if i != j])
    expected = within(z) + within(draws) - 2 * np.mean([kernel(z[i], draws[j]) for i, j in pairs])
    estimate = functools.partial(mmd.mmd2, kernel=functools.partial(mmd.gaussian, variance=1.5))
    np.testing.assert_allclose(estimate(jnp.asarray(z), jnp.asarray(draws)), expected, rtol=1e-4)
    many = [generator.normal(size=(2, 50, 2)) for _ in range(200)]
    values = [float(estimate(jnp.asarray(a), jnp.asarray(b))) for a, b in many]
    assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(len(values))


def test_the_bandwidth_of_the_discrepancy_is_the_median_distance_of_as_many_draws_as_codes():
    model, data, _, inputs = echo(noise=0.3)
    found = score("mmd_to_prior", model, data, codes=17)
    spread = np.linspace(0, len(inputs) - 1, 17).round().astype(int)
    z = inputs[spread].reshape(17, -1) @ np.array(model.weights)
    one, other = (np.asarray(jax.random.normal(key, (17, 3)), float) for key in jax.random.split(KEY, 3)[1:])
    median = np.median(scipy.spatial.distance.pdist(one))
    kernel = lambda a, b: np.exp(-scipy.spatial.distance.cdist(a, b, "sqeuclidean") / (2 * median**2))
    within = lambda rows: kernel(rows, rows)[~np.eye(17, dtype=bool)].mean()
    for name, rows in (("mmd2_to_prior", z), ("mmd2_prior_to_prior", other)):
        expected = within(rows) + within(one) - 2 * kernel(rows, one).mean()
        np.testing.assert_allclose(found[name], expected, rtol=1e-3, atol=1e-6)


def test_of_prior_and_prior_the_discrepancy_is_zero_within_its_error():
    (model, data, _, _), evaluate = echo(), lookup.find("metrics", "mmd_to_prior", "evaluate")
    found = [evaluate(model, {}, data, key) for key in jax.random.split(KEY, 36)]
    to_prior, to_itself = (
        np.array([each[name] for each in found]) for name in ("mmd2_to_prior", "mmd2_prior_to_prior")
    )
    error = to_itself.std(ddof=1) / 6
    assert abs(to_itself.mean()) < 3 * error < abs(to_prior.mean())


def test_a_probe_finds_what_the_code_holds_and_leaves_out_what_is_not_labelled():
    model, data, x, _ = echo()
    # The code is the mean brightness, which is the class.
    model = dataclasses.replace(model, weights=tuple((1 / x[0].size,) for _ in range(x[0].size)))
    train = data.train
    half = np.where(np.arange(TRAIN) < 15, train.arrays["label"], -1)
    for label in (train.arrays["label"], half):
        partly = data.replace(train=dataclasses.replace(train, arrays={**train.arrays, "label": label}))
        scores = score("probe", model, partly, neighbours=1)
        assert scores["probe_knn_code_accuracy"] > 0.9 and scores["probe_logistic_code_accuracy"] > 0.9
    bare = lambda batches: dataclasses.replace(batches, spec=DataSpec((28, 20, 1)))
    without = EvalData.of(train=bare(data.train), test=bare(data.test))
    with pytest.raises(UserError, match="needs classes"):  # before anything is computed
        lookup.find("metrics", "probe", "evaluate")(model, {"w": jax.ShapeDtypeStruct((), "float32")}, without, KEY)


def test_a_probe_is_scikit_learns():
    model, data, x, inputs = echo(noise=0.3)
    order = np.random.RandomState(0).permutation(TRAIN)[:25]
    images, labels = training_rows(data)[order], data.train.arrays["label"][order]
    noisy, truth = data.train.arrays["noisy"].reshape(TRAIN, -1)[order], data.test.arrays["label"]
    pca, weights = sklearn.decomposition.PCA(3, svd_solver="full").fit(images), np.array(model.weights)
    x, inputs = x.reshape(N, -1), inputs.reshape(N, -1)
    kinds = {
        "code": (noisy @ weights, inputs @ weights),
        "pca": (pca.transform(images), pca.transform(x)),
        "pixels": (images, x),
    }
    scores, expected = score("probe", model, data, train=25, neighbours=1), {}
    for kind, (rows, test_rows) in kinds.items():
        scaled = sklearn.preprocessing.StandardScaler().fit(rows)
        rows, test_rows = scaled.transform(rows), scaled.transform(test_rows)
        last_fifth = sklearn.model_selection.PredefinedSplit(np.where(np.arange(25) < 20, -1, 0))
        logistic = sklearn.linear_model.LogisticRegression(max_iter=300)
        search = sklearn.model_selection.GridSearchCV(logistic, {"C": (0.01, 0.1, 1.0, 10.0)}, cv=last_fifth)
        expected[f"probe_logistic_{kind}_accuracy"] = search.fit(rows, labels).score(test_rows, truth)
        knn = sklearn.neighbors.KNeighborsClassifier(1).fit(rows, labels)
        expected[f"probe_knn_{kind}_accuracy"] = knn.score(test_rows, truth)
    assert scores == pytest.approx(expected)
    assert max(expected.values()) < 1  # as of examples that find themselves


@pytest.mark.parametrize("train", [20, 10_000])
@pytest.mark.parametrize("first", [4, 26])
def test_a_probe_knows_all_classes_of_sorted_examples(train, first):
    """Whether the first few, or all but the last few, are of one class."""
    model, data, x, _ = echo()
    model = dataclasses.replace(model, weights=tuple((1 / x[0].size,) for _ in range(x[0].size)))
    order = np.argsort(data.train.arrays["x"].mean(axis=(1, 2, 3)))
    arrays = {name: rows[order] for name, rows in data.train.arrays.items()}
    threshold = arrays["x"][first - 1 : first + 1].mean()
    arrays["label"] = (np.arange(TRAIN) >= first).astype(np.int32)
    test = {
        **data.test.arrays,
        "label": (data.test.arrays["x"].mean(axis=(1, 2, 3)) > threshold).astype(np.int32),
    }
    data = EvalData.of(
        train=dataclasses.replace(data.train, arrays=arrays), test=dataclasses.replace(data.test, arrays=test)
    )
    scores = score("probe", model, data, train=train, neighbours=1)
    assert scores["probe_knn_code_accuracy"] > 0.9


@pytest.mark.parametrize(("metric", "message"), [("collapse", "random"), ("elbo", "random")])
def test_a_deterministic_code_has_no_rate(metric, message):
    from ae_jax.models import ae

    model = ae.Model(DataSpec((28, 20, 1), classes=2), latent_dim=2)
    _, data, _, _ = echo()
    variables = model.init(KEY, next(iter(data.test)))
    with pytest.raises(UserError, match=message):
        lookup.find("metrics", metric, "evaluate")(model, variables, data, KEY)
