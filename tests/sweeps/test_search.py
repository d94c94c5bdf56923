"""Searches by Optuna: trials that train together, end early by the median, and go on where they were stopped."""

import dataclasses
import sys

import numpy as np
import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_sweeps import base

from ae_jax.core.errors import UserError
from ae_jax.experiments import rundir
from ae_jax.sweeps import search, search_space, study
from ae_jax.sweeps.engines import local

AXES = ("optimizer.learning_rate=log:1e-5:1e-1", "weights.kl=lin:0.5:2", "seed=0:3")


def make(folder, *texts, **options):
    return search.make(str(folder), base(**options.pop("overrides", {})), texts or AXES, **options)


def run(folder, trials, **options):
    return search.run(make(folder, **options), trials, 6, "map", local.make(), say=lambda *_, **__: None)


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    return run(tmp_path_factory.mktemp("search"), 6)


def scores(folder, name):
    lines = rundir.read_lines(folder.run(name).metrics)
    return {line["step"]: line["elbo"] for line in lines if line["split"] == "validation"}


def test_trials_go_on_where_they_were_and_end_early_below_the_median(searched):
    first = {name: searched.run(name).result.stat().st_mtime_ns for name in searched.read()[1]}
    # One trial was asked for, and not trained, before the search was killed.
    killed = study.open_study(study.path_of(searched.path))
    killed.sampler = study.sampler(len(killed.trials))
    asked = killed.ask(make(searched.path).space)
    run(searched.path, 12)
    resumed = study.open_study(study.path_of(searched.path))
    assert len(resumed.trials) == 12 and resumed.trials[6].params == asked.params
    names = list(searched.read()[1])
    assert len(names) == 12 and {name: searched.run(name).result.stat().st_mtime_ns for name in first} == first
    ended = {}  # {name: scores} of those that came to their ends before the round under way
    for rounds in (names[:6], names[6:7], names[7:]):
        found = {name: scores(searched, name) for name in rounds}
        medians = {step: np.median([other[step] for other in ended.values()] or [-np.inf]) for step in (20, 40)}
        for name, score in found.items():
            behind = [step for step in score if step < 60 and max(score[s] for s in score if s <= step) < medians[step]]
            below = behind if len(ended) >= 5 else []
            assert searched.result(name)["status"] == ("pruned" if below else "done")
            assert max(score) == (below[0] if below else 60)
        ended |= {name: score for name, score in found.items() if 60 in score}
    assert {searched.result(name)["status"] for name in names} == {"done", "pruned"}
    values = {trial.number: trial.value for trial in resumed.get_trials(states=(optuna.trial.TrialState.COMPLETE,))}
    assert values == {i: max(scores(searched, name).values()) for i, name in enumerate(names) if name in ended}
    for axes in searched.read()[1].values():
        assert 1e-5 <= float(axes["optimizer.learning_rate"]) <= 0.1 and 0.5 <= float(axes["weights.kl"]) <= 2
        assert axes["seed"] in ("0", "1", "2")


@given(st.floats(1e-6, 1e6), st.floats(1e-6, 1e6), st.integers(-9, 9), st.integers(-9, 9))
def test_what_is_spanned(a, b, low, high):
    for form in ("lin", "log"):
        if a < b:
            kind = optuna.distributions.FloatDistribution(a, b, log=form == "log")
            assert search_space.parse(f"weights.kl={form}:{a!r}:{b!r}") == ("weights.kl", kind)
        else:
            with pytest.raises(UserError, match="spans nothing"):
                search_space.parse(f"weights.kl={form}:{a!r}:{b!r}")
    if low < high:
        assert search_space.parse(f"seed={low}:{high}")[1] == optuna.distributions.IntDistribution(low, high - 1)


def test_what_is_listed_is_chosen_from():
    kind = search_space.parse("model.hidden=(8,8),16,lin:1:2:2")[1]
    assert kind.choices == ("(8,8)", "16", "1", "2")


def test_it_ends_when_all_combinations_are_drawn(tmp_path):
    said = []
    found = make(tmp_path / "search", "seed=0:2", "model.hidden=8,8")
    folder = search.run(found, 100, 4, "map", local.make(), say=lambda text, **_: said.append(text))
    assert len(folder.read()[1]) == 2 and said[-1] == "all combinations are drawn"
    assert int(said[-2].split(" of 100 trials")[0]) < 20


WRONG = {
    "a metric that is not evaluated": ({"minimize": "nll"}, "unknown metric"),
    "the wrong direction": ({"minimize": "elbo"}, "--maximize=elbo"),
    "both directions": ({"minimize": "kl", "maximize": "elbo"}, "both"),
    "no validation split": ({"overrides": {"data.validation": "0"}}, "data.validation"),
    "no evaluations": ({"overrides": {"train.eval_every": "0"}}, "eval_every"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_search_that_cannot_be_is_refused_before_anything_is_written(tmp_path, case):
    options, says = WRONG[case]
    with pytest.raises(UserError, match=says) as caught:
        run(tmp_path / "search", 2, **options)
    assert 1 <= len(str(caught.value).splitlines()) <= 2
    assert not list(tmp_path.iterdir())


SPACES = [
    ("train.stpes=1:9", "train.steps"),
    ("weights.kl=log:0:1", "above 0"),
    ("model.latent_dim=lin:2:8", "expected a whole number"),  # though both ends are
    ("seed=0,many", "expected a whole number"),
    ("train.ema=lin:0:2", "below 1"),
]


@pytest.mark.parametrize("text, says", SPACES)
def test_so_are_axes_that_cannot_be(tmp_path, text, says):
    with pytest.raises(UserError, match=says):
        search.run(make(tmp_path / "search", text), 2, 2, "map", local.make())
    assert not list(tmp_path.iterdir())


def test_a_search_has_axes(tmp_path):
    with pytest.raises(UserError, match="needs an axis"):
        search.make(str(tmp_path / "search"), base(), ())
    assert not list(tmp_path.iterdir())


def test_another_search_is_refused(searched):
    with pytest.raises(UserError, match="another search"):
        make(searched.path, *AXES[:2], "seed=0:9")


def test_a_search_that_was_killed_as_it_began_goes_on(tmp_path):
    """Before the study was in the file, or before it knew all of its search."""
    found = make(tmp_path / "search")
    found_path = study.path_of(found.workdir)
    found_path.parent.mkdir()
    found_path.touch()
    assert make(tmp_path / "search") == found
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(found_path)))
    optuna.create_study(storage=storage, study_name="sweep", direction="maximize").set_user_attr("metric", "elbo")
    assert make(tmp_path / "search") == found
    study.open_study(found_path, found.direction, search._description(dataclasses.replace(found, space={})))
    with pytest.raises(UserError, match="another search"):
        make(tmp_path / "search")


def test_without_optuna_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(UserError, match=r"\.\[search\]"):
        make(tmp_path)


def test_a_trial_of_other_values_is_not_trained(tmp_path):
    """A journal that a stranger wrote may hold names that the command does not."""
    found = make(tmp_path / "search", "optimizer.name=adam,sgd")
    for key, values in (("optimizer.name", ["mine:Optimizer"]), ("objective.name", ["elbo"])):
        (tmp_path / "search").mkdir(exist_ok=True)
        journal = study.open_study(study.path_of(found.workdir), found.direction, search._description(found))
        journal.enqueue_trial({key: values[0]})
        journal.ask({key: optuna.distributions.CategoricalDistribution(values)})
        with pytest.raises(UserError, match="trials of other axes"):
            search.run(found, 4, 2, "map", local.make(), say=lambda *_, **__: None)
        study.path_of(found.workdir).unlink()
