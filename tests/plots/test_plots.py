"""Every figure from its arrays alone, the arrays against numpy, scipy and scikit-learn, and what cannot be drawn."""

import dataclasses
import inspect
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.stats
import sklearn.decomposition
from small_plots import KEY, N, arrays, close, decoded, encoded, made

from ae_jax.core import lookup
from ae_jax.core.errors import UserError
from ae_jax.data.batching import Batches
from ae_jax.evaluation import projections
from ae_jax.evaluation.data import EvalData
from ae_jax.models.priors import circle
from ae_jax.plots import style

# What each of three models refuses: figures of classes that its decoder does not read, of a prior that it lacks, and of
# melodies, which test_music_vae draws.
# "codebook_usage" and "code_grids" are for discrete latents, which test_discrete_figures draws.
ALL = {"code_grids", "codebook_usage", "melody_curves", "melody_samples"}
REFUSED = {"ae": {*ALL, "class_grid", "nearest_examples", "samples"}, "conditional": ALL, "vae": {*ALL, "class_grid"}}
KINDS = {"ae": {"shape": (7, 5, 1), "classes": 0}, "conditional": {"shape": (8, 8, 3)}, "vae": {}}


def few(name, family):
    """The arrays of as few cells as there may be, which are quick to draw."""
    parameters = inspect.signature(lookup.find("figures", name, "arrays")).parameters.values()
    small = {p.name: min(p.default, 3) for p in parameters if p.kind is p.KEYWORD_ONLY and type(p.default) is int}
    return arrays(name, family, options=small, **KINDS[family])


# "curves" reads no examples; "explorer" is a page, looked at in test_explorer.
@pytest.mark.parametrize(
    "family, name",
    [
        (family, name)
        for family in ("ae", "conditional")
        for name in lookup.choices("figures")
        if name not in {*REFUSED[family], "curves", "explorer"}
    ],
)
def test_every_figure_of_every_kind_of_image(family, name):
    drawn = lookup.find("figures", name, "figure")(few(name, family))
    drawn.draw_without_rendering()
    assert any(axes.has_data() for axes in drawn.axes)


@pytest.mark.parametrize("name", [name for name in lookup.choices("figures") if name not in REFUSED["vae"]])
def test_the_same_run_gives_the_same_bytes_and_the_arrays_are_all_it_takes(name, tmp_path):
    first, again = few(name, "vae"), few(name, "vae")
    figure = lookup.find("figures", name, "figure")
    path = style.save(tmp_path / "a=0.5" / name, first, figure(first), "png")
    stored = dict(np.load(f"{tmp_path}/a=0.5/{name}.npz"))  # no pickles: strings and numbers only
    style.save(tmp_path / name, again, figure(stored), "png")
    assert path.read_bytes()[:5] in (b"\x89PNG\r", b"<!doc")
    for suffix in (path.suffix, ".npz"):
        assert (tmp_path / f"{name}{suffix}").read_bytes() == (tmp_path / "a=0.5" / f"{name}{suffix}").read_bytes()


@pytest.mark.parametrize("family, name", [(family, name) for family in REFUSED for name in sorted(REFUSED[family])])
def test_a_figure_that_is_not_for_a_model_says_so_in_two_lines(family, name):
    with pytest.raises(UserError, match=rf"^figure '{name}' needs [^\n]*\n[^\n]*$"):
        few(name, family)


def test_manifold_decodes_gaussian_quantiles_without_reading_data():
    model, variables, _ = made("vae")
    found = lookup.find("figures", "manifold", "arrays")(model, variables, {}, KEY, size=5, mass=0.9)
    low, high = scipy.stats.norm.ppf([0.05, 0.95])
    close(found["z0"], scipy.stats.norm.ppf([0.05, 0.275, 0.5, 0.725, 0.95]))
    close(found["decoded"][2, 2], decoded("vae", [0, 0]))
    close(found["decoded"][0, 4], decoded("vae", [high, low]))
    upper_left = lookup.find("figures", "manifold", "figure")(found).axes[0].images[0].get_array()
    close(upper_left[..., :1], decoded("vae", [low, high]))


def test_manifold_of_a_deterministic_code_covers_the_examples():
    found, (_, codes) = arrays("manifold", "ae", options={"size": 4, "mass": 0.5}), encoded("ae")
    close(found["z1"], np.linspace(*np.quantile(codes[:, 1], [0.25, 0.75]), 4))
    close(found["decoded"][3, 0], decoded("ae", [found["z0"][0], found["z1"][3]]))


def test_a_conditional_model_is_given_the_class_of_its_examples():
    _, codes = encoded("conditional")
    manifold = arrays("manifold", "conditional", options={"size": 3, "label": 4})
    close(manifold["decoded"][1, 1], decoded("conditional", [0, 0], label=4))
    path = arrays("interpolations", "conditional", options={"count": 3, "steps": 2})["path"]
    close(path[2, 1], decoded("conditional", codes[5], label=4))
    rows = arrays("traversals", "conditional", options={"steps": 3, "example": 7})
    z = codes[7].copy()
    z[rows["dimension"][1]] = 0
    close(rows["decoded"][1, 1], decoded("conditional", z, label=7))


def test_samples_come_from_the_prior():
    model, variables, _ = made("vae")
    found = lookup.find("figures", "samples", "arrays")(model, variables, {}, KEY, count=5)
    expected = model.apply(variables, {"mask": np.ones(5)}, method="generate", rngs={"latent": KEY}).mean[0]
    close(found["samples"], expected)
    drawn = lookup.find("figures", "samples", "figure")(found)
    assert [image.get_extent()[0] for image in drawn.axes[0].images] == [0, 1, 2, 0, 1]


@pytest.mark.parametrize("dims", [3, 5, 8])
def test_principal_components_are_those_of_scikit_learn(dims):
    codes = np.random.default_rng(dims).normal(size=(50, dims)) @ np.diag(np.arange(1, dims + 1)) + 5
    reference = sklearn.decomposition.PCA(2, svd_solver="full")
    expected = reference.fit_transform(codes)
    points, axes = projections.plane(codes.astype(np.float32), "pca")
    shares = reference.explained_variance_ratio_
    assert axes == [f"PC {i} of the {dims}-D latent ({share:.1%} of variance)" for i, share in enumerate(shares, 1)]
    loadings = reference.components_
    greatest = np.take_along_axis(loadings, np.abs(loadings).argmax(axis=1, keepdims=True), axis=1)
    close(points, expected * np.sign(greatest)[:, 0])


@pytest.mark.parametrize("dims, axes", [(1, ["$z_0$", "class"]), (2, ["$z_0$", "$z_1$"]), (5, ["PC 1", "PC 2"])])
def test_scatter_shows_each_example_once_with_its_class(dims, axes):
    found, (_, codes) = arrays("scatter", latent_dim=dims), encoded("vae", latent_dim=dims)
    assert [name.startswith(start) for name, start in zip(found["axes"], axes, strict=True)] == [True, True]
    np.testing.assert_array_equal(found["label"], np.arange(N) % 10)
    assert found["points"].shape == (N, 2)
    if dims == 1:
        close(found["points"][:, 0], codes[:, 0])
        np.testing.assert_array_equal(found["points"][:, 1].round(), found["label"])
    if dims == 2:
        close(found["points"], codes)
    if dims == 5:
        assert "of the 5-D latent" in found["axes"][0] and "% of variance" in found["axes"][0]
    drawn = lookup.find("figures", "scatter", "figure")(found)
    assert [text.get_text() for text in drawn.legends[0].get_texts()] == list("0123456789")


def test_only_the_batches_that_are_needed_are_read():
    model, variables, data = made("vae")

    def one_batch():
        yield next(iter(data.test))
        raise AssertionError("a second batch was read")

    found = lookup.find("figures", "reconstructions", "arrays")(
        model, variables, EvalData.of(test=one_batch()), KEY, count=10
    )
    assert len(found["original"]) == 10


def test_reconstructions_show_what_the_encoder_read_where_it_is_not_the_example():
    model, variables, data = made("ae")
    noisy = Batches(data.test.arrays, model.spec, 10, lambda step, batch: {**batch, "inputs": batch["x"] * 0.5})
    found = lookup.find("figures", "reconstructions", "arrays")(model, variables, EvalData.of(test=noisy), KEY, count=4)
    close(found["input"], found["original"] / 2)
    batch = {"x": found["original"], "inputs": found["input"]}
    close(found["reconstruction"], model.apply(variables, batch).likelihood.mean[0])
    drawn = lookup.find("figures", "reconstructions", "figure")(found)
    assert [label.get_text() for label in drawn.axes[0].get_yticklabels()] == ["original", "input", "reconstruction"]
    assert "input" not in arrays("reconstructions", "ae")


def test_interpolations_are_straight_lines_between_neighbours():
    found, (_, codes) = arrays("interpolations", options={"count": 3, "steps": 5}), encoded("vae")
    x = np.asarray(made("vae")[2].test.arrays["x"], np.float32) / 255
    close(found["start"], x[0:6:2])
    close(found["end"], x[1:6:2])
    close(found["path"][2, 0], decoded("vae", codes[4]))
    close(found["path"][2, 1], decoded("vae", 0.75 * codes[4] + 0.25 * codes[5]))
    assert len(arrays("interpolations", options={"count": 100})["path"]) == N // 2


def test_traversals_vary_the_most_active_dimensions_first():
    found = arrays("traversals", latent_dim=5, options={"dims": 4, "steps": 3, "span": 2.0, "example": 12})
    latent, codes = encoded("vae", latent_dim=5)
    mean, log_scale = latent.posterior.loc, latent.posterior.log_scale
    kl = (0.5 * (mean**2 + np.exp(2 * log_scale) - 1) - log_scale).mean(axis=0)
    np.testing.assert_array_equal(found["dimension"], np.argsort(-kl)[:4])
    close(found["kl"], np.sort(kl)[::-1][:4])
    z = codes[12].copy()
    z[found["dimension"][1]] = -2
    close(found["decoded"][1, 0], decoded("vae", z, latent_dim=5))
    close(found["value"], np.tile([-2, 0, 2], (4, 1)))


@pytest.mark.parametrize(
    "family, of",
    [("ae", {"latent_dim": 3}), ("vae", {"prior": circle.Prior}), ("conditional", {"conditional_prior": True})],
)
def test_traversals_go_by_the_spread_of_the_codes_unless_the_prior_is_standard(family, of):
    found, (_, codes) = arrays("traversals", family, options={"steps": 3}, **of), encoded(family, **of)
    if "kl" not in found:
        np.testing.assert_array_equal(found["dimension"], np.argsort(-codes.std(axis=0)))
    expected = (codes.mean(axis=0) + 3 * np.array([[-1], [0], [1]]) * codes.std(axis=0)).T
    close(found["value"], expected[found["dimension"]])


def test_curves_hold_every_term_of_training_for_every_split():
    found = arrays("curves")
    assert {key: value.tolist() for key, value in found.items() if key != "values"} == {
        "split": ["train", "validation"],
        "term": ["loss", "kl"],
        "step": [10, 20],
    }
    np.testing.assert_array_equal(found["values"], [[[9, 8], [1, 2]], [[np.nan] * 2, [np.nan, 2.5]]])


@pytest.mark.parametrize(
    "name, family, of, options, expected",
    [
        ("samples", "ae", {}, {}, "needs a model with a prior.*\nuse --figures=reconstructions"),
        (
            "manifold",
            "vae",
            {"latent_dim": 5},
            {},
            "needs a latent of 2 dimensions, and this one has 5\nuse --figures=",
        ),
        ("manifold", "vae", {}, {"mass": 1.0}, "--manifold_mass is 1.0\nuse a number between 0 and 1"),
        ("manifold", "vae", {}, {"label": 10}, "--manifold_label is 10\nuse a class from 0 to 9"),
        ("reconstructions", "ae", {}, {"count": 0}, "--reconstructions_count is 0\nuse at least 1"),
        ("interpolations", "ae", {}, {"steps": 1}, "--interpolations_steps is 1\nuse at least 2"),
        ("traversals", "ae", {}, {"example": N}, f"--traversals_example is {N}\nuse an example from 0 to {N - 1}"),
    ],
)
def test_what_cannot_be_drawn_is_said(name, family, of, options, expected):
    with pytest.raises(UserError, match=expected) as error:
        arrays(name, family, options=options, **of)
    assert str(error.value).count("\n") == 1


def test_a_decoder_that_adds_the_inputs_is_not_asked_to_decode_codes_alone():
    model, variables, data = made("ae")
    with pytest.raises(UserError, match="decodes latents alone, and this model adds its inputs.*\nuse --figures=recon"):
        lookup.find("figures", "traversals", "arrays")(model.clone(residual=True), variables, data, KEY)


@pytest.mark.parametrize("name", ["cross_data", "loss_comparison"])
def test_runs_on_examples_of_another_size_are_not_compared(name):
    model, variables, data = made("ae")
    larger = model.clone(spec=dataclasses.replace(model.spec, shape=(9, 9, 1)))
    other = SimpleNamespace(model=larger, variables=variables, data=data)
    data = data.replace(open_run=lambda run: other)
    with pytest.raises(UserError, match=r"'other' has examples of shape \(9, 9, 1\).*\nuse .*\(8, 8, 1\)"):
        lookup.find("figures", name, "arrays")(model, variables, data, KEY, runs=("other",))


def test_curves_without_metrics_are_refused():
    with pytest.raises(UserError, match="needs training metrics, and metrics.jsonl has none"):
        lookup.find("figures", "curves", "arrays")(None, None, EvalData.of(metrics=[]), KEY)


def test_the_comparison_with_pca_is_of_two_errors_per_pixel():
    found, x = arrays("pca_comparison", "ae"), np.asarray(made("ae")[2].test.arrays["x"], np.float64).reshape(N, -1)
    pca = sklearn.decomposition.PCA(2, svd_solver="full").fit(x / 255)
    close(found["pca_mse_per_pixel"], [np.square(x / 255 - pca.inverse_transform(pca.transform(x / 255))).mean()])
