"""Figures of sweeps: the arrays against numpy and scipy, from results that are given; every figure of a real sweep."""

import inspect
import math

import jax
import numpy as np
import pytest
import scipy.stats

from ae_jax.core import lookup
from ae_jax.core.errors import UserError
from ae_jax.experiments import analysis, configuration
from ae_jax.plots import style
from ae_jax.sweeps import axes, launch, survey
from ae_jax.sweeps.directory import SweepDir

KEY = jax.random.key(3)
KL, RATES, SEEDS = (1, 2, 4), (0.1, 0.2), (0, 1, 2)


def given(scores, tmp_path):
    """A survey of runs with these scores {(kl, rate, seed): elbo}."""
    runs = []
    for (kl, rate, seed), elbo in scores.items():
        setting = {"weights.kl": str(kl), "optimizer.learning_rate": str(rate), "seed": str(seed)}
        result = {"final": {} if math.isnan(elbo) else {"elbo": elbo}, "best": {"elbo": elbo + 1}}
        runs.append(survey.Run(setting, result, tmp_path, {}))
    return survey.Survey(SweepDir(tmp_path), runs, "elbo", "validation", 0)


@pytest.fixture
def scores():
    draw = np.random.default_rng(0).normal
    return {(kl, rate, seed): float(draw(-30, 2)) for seed in SEEDS for rate in RATES for kl in reversed(KL)}


def arrays(name, sweep, **options):
    return lookup.find("sweep_figures", name, "arrays")(sweep, KEY, **options)


def test_the_curve_is_the_mean_with_students_interval(scores, tmp_path):
    del scores[2, 0.1, 0], scores[2, 0.1, 1]  # one run is left, and so no interval
    scores[4, 0.2, 2] = math.nan
    made = arrays("metric_curve", given(scores, tmp_path), confidence=0.9)
    assert list(made["lines"]) == ["learning_rate=0.1", "learning_rate=0.2"]
    assert list(made["at"]) == list(KL)
    for i, rate in enumerate(RATES):
        for j, kl in enumerate(KL):
            found = [scores[kl, rate, seed] for seed in SEEDS if (kl, rate, seed) in scores]
            found = [value for value in found if not math.isnan(value)]
            assert made["count"][i, j] == len(found)
            np.testing.assert_allclose(made["mean"][i, j], np.mean(found))
            if len(found) == 1:
                assert np.isnan(made["half_width"][i, j])
            else:
                low, high = scipy.stats.t.interval(0.9, len(found) - 1, np.mean(found), scipy.stats.sem(found))
                np.testing.assert_allclose(made["half_width"][i, j], (high - low) / 2)


def test_the_heat_map_is_the_mean_over_the_rest(scores, tmp_path):
    made = arrays("heat_map", given(scores, tmp_path), metric="best.elbo", y="optimizer.learning_rate")
    expected = [[np.mean([scores[kl, rate, seed] + 1 for seed in SEEDS]) for kl in KL] for rate in RATES]
    np.testing.assert_allclose(made["mean"], expected)
    assert (list(made["x"]), list(made["y"])) == (["1", "2", "4"], ["0.1", "0.2"])


@pytest.mark.parametrize(
    "name, options, says",
    [
        ("metric_curve", {"metric": "elbw"}, "did you mean 'elbo'"),
        ("metric_curve", {"axis": "weights.k"}, "did you mean 'weights.kl'"),
        ("metric_curve", {"confidence": 1.0}, "between 0 and 1"),
        ("heat_map", {"x": "seed", "y": "seed"}, "needs two axes"),
        ("sample_grid", {"kind": "sample"}, "did you mean 'samples'"),
    ],
)
def test_what_cannot_be_drawn_is_said(scores, tmp_path, name, options, says):
    with pytest.raises(UserError, match=says) as caught:
        arrays(name, given(scores, tmp_path), **options)
    assert 1 <= len(str(caught.value).splitlines()) <= 2


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """The directory of a sweep that was trained."""
    config, folder = configuration.load("configs/vae.py:smoke"), tmp_path_factory.mktemp("sweep")
    launch.run(launch.make_plan(str(folder), config, axes.assignments(["weights.kl=1,2", "seed=0:2"]), "map"))
    return folder


def test_learning_curves_are_the_lines_of_the_metrics(swept):
    opened = survey.load(str(swept))
    made = arrays("learning_curves", opened, metric="loss", split="train")
    expected = [[line["loss"] for line in run.lines if line["split"] == "train"] for run in opened.runs]
    np.testing.assert_array_equal(made["values"], expected)
    assert list(made["settings"][made["setting"]]) == [f"kl={run.axes['weights.kl']}" for run in opened.runs]
    with pytest.raises(UserError, match="did you mean 'loss'"):
        arrays("learning_curves", opened, metric="los", split="train")


def test_rate_and_distortion_are_the_two_terms_of_the_elbo(swept):
    opened = survey.load(str(swept), split="validation")
    made = arrays("rate_distortion", opened)
    for run, rate, distortion in zip(opened.runs, made["rate"], made["distortion"], strict=True):
        last = [line for line in run.lines if line["split"] == "validation"][-1]
        np.testing.assert_allclose([rate, distortion], [last["kl"], last["reconstruction"]], rtol=1e-5)


@pytest.mark.parametrize("kind", ["samples", "manifold"])
def test_a_panel_is_a_runs_own_figure(swept, kind):
    made = arrays("sample_grid", survey.load(str(swept)), kind=kind, size=3)
    trained = analysis.load(str(swept / "weights.kl=2,seed=0"))
    options = {"count": 9} if kind == "samples" else {"size": 3}
    own = lookup.find("figures", kind, "arrays")(
        trained.experiment.model, trained.variables, trained.data, KEY, **options
    )
    expected = own["samples"].reshape(3, 3, 8, 8, 1) if kind == "samples" else own["decoded"][::-1]
    shown = made["panels"][0, 1]
    for row in range(3):
        for column in range(3):
            cell = shown[9 * row : 9 * row + 8, 9 * column : 9 * column + 8]
            np.testing.assert_allclose(cell, np.clip(expected[row, column], 0, 1), rtol=1e-6)


@pytest.mark.parametrize("name", lookup.choices("sweep_figures"))
def test_every_figure_is_drawn_from_its_arrays_and_kept_with_them(swept, name):
    (picture,) = survey.draw(survey.load(str(swept)), [name], {}, "png")
    assert picture == swept / "figures" / f"{name}.png" and picture.stat().st_size > 1000
    with np.load(picture.with_suffix(".npz")) as kept:
        again = style.save(swept / "again", kept, lookup.find("sweep_figures", name, "figure")(kept), "png")
    assert again.read_bytes() == picture.read_bytes()
    signature = inspect.signature(lookup.find("sweep_figures", name, "arrays"))
    assert all(p.default is not p.empty for p in signature.parameters.values() if p.kind is p.KEYWORD_ONLY)
