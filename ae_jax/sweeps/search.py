"""Searching the axes' values by Optuna: trials are asked for some at a time, and those of one program trained together.

The study stands in the sweep's directory, and each trial is a run of the sweep. A trial that at an evaluation is worse
than the median of at least five finished ones was at that step ends there (Golovin et al. 2017, "Google Vizier",
section 3.2.2).
"""

import dataclasses
import logging
import math
import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ae_jax.core import compat, errors
from ae_jax.core.errors import UserError
from ae_jax.experiments import analysis, open_run
from ae_jax.sweeps import axes, directory, launch

FORMS = "lin:A:B or log:A:B or INT:INT, any number between; or values to choose from, as of a sweep"
_SPAN = re.compile(r"(lin|log):([^:,]+):([^:,]+)")
_INTEGERS = re.compile(r"(-?\d+):(-?\d+)")


@dataclasses.dataclass(frozen=True)
class Search:
    """What is searched for: among the values of `space`, {key: Optuna's distribution}, those best in `metric`."""

    workdir: str
    base: Any
    space: dict[str, Any]
    metric: str
    direction: str  # "max" or "min"
    trust: tuple[str, ...] = ()  # as in `experiment.build`


def make(
    workdir: str,
    base: Any,
    texts: Sequence[str],
    minimize: str = "",
    maximize: str = "",
    trust: Sequence[str] = (),
) -> Search:
    """The search over the "KEY=VALUES" texts, for the least or the greatest of a metric; by default for the best of the
    config's criterion.

    trust: as in `launch.make_plan`.
    Raises UserError for what cannot be, and where the directory holds another search.
    """
    _optuna()
    space = dict(map(_distribution, texts))
    if not space:
        raise UserError("a search needs an axis, and there is none\ntry --axis=optimizer.learning_rate=log:1e-4:1e-2:5")
    if len(space) < len(texts):
        raise UserError("two axes of one key\nexpected one, with all its values")
    if not base.data.validation:
        raise UserError(
            "a search chooses by the validation split, and there is none\ntry --config.data.validation=1000"
        )
    if not base.train.eval_every or not base.eval.metrics:
        raise UserError("a search needs evaluations, and there are none\ntry --config.train.eval_every=100")
    better = analysis.directions(base)
    metric = minimize or maximize or base.eval.criterion
    if minimize and maximize:
        raise UserError("both --minimize and --maximize\nexpected one of them")
    if metric not in better:
        raise errors.unknown("metric among those of eval.metrics", metric, better)
    if (better[metric] == "max") == bool(minimize) and (minimize or maximize):
        word = f"--{'maximize' if minimize else 'minimize'}"
        raise UserError(f"{metric!r} is better the {'larger' if minimize else 'smaller'} it is\ntry {word}={metric}")
    if "data.path" not in space:
        (base,) = open_run.pinned([base], trust)
    found = Search(workdir, base, space, metric, better[metric], tuple(trust))
    directory.check_new_or_same(workdir, base, list(space))
    told = _told_there(_path(workdir))
    if not told.items() <= _told(found).items():
        raise UserError(f"workdir {workdir!r} holds another search: {told} there\ntry another --workdir")
    return found


def _optuna() -> Any:
    """Optuna, without its lines of every trial. Raises UserError where it is not installed."""
    try:
        import optuna
    except ImportError:
        raise UserError("--search needs Optuna, which is not installed\ntry: pip install -e .[search]") from None
    optuna.logging.set_verbosity(logging.WARNING)
    return optuna


def _distribution(text: str) -> tuple[str, Any]:
    """(key, Optuna's distribution) of "KEY=VALUES". Raises UserError."""
    from optuna import distributions

    key, _, values = text.partition("=")
    if span := _SPAN.fullmatch(values):
        form, *ends = span.groups()
        try:
            low, high = map(float, ends)
        except ValueError:
            raise UserError(f"axis {key!r}: {values!r} cannot be read\nexpected {FORMS}") from None
        if not (math.isfinite(low) and low < high < math.inf and (form == "lin" or low > 0)):
            raise UserError(f"axis {key!r}: {values!r} spans nothing\nexpected A below B, and for log above 0")
        return key.strip(), distributions.FloatDistribution(low, high, log=form == "log")
    if integers := _INTEGERS.fullmatch(values):
        low, high = map(int, integers.groups())
        if low < high:
            return key.strip(), distributions.IntDistribution(low, high - 1)
    key, values = axes.parse(text)
    return key, distributions.CategoricalDistribution(values)


def _texts(params: Mapping[str, Any]) -> axes.Assignment:
    """A trial's values, numbers to six significant digits, as those of axes are."""
    return {key: f"{value:.6g}" if isinstance(value, float) else str(value) for key, value in params.items()}


def run(search: Search, trials: int, together: int, way: str, engine: Any, say=print) -> directory.SweepDir:
    """Trains until `trials` trials have ended, or all combinations are drawn; `together` trials at a time, first those
    that were under way.

    Raises UserError before anything is written, RunFailed where it was stopped.
    """
    from optuna.trial import TrialState

    folder = directory.SweepDir(pathlib.Path(search.workdir).absolute())
    launch.make_plan(search.workdir, search.base, _corners(search.space), way, trust=search.trust)
    folder.path.mkdir(parents=True, exist_ok=True)
    study = _study(_path(search.workdir), search)
    while True:
        going = study.get_trials(states=(TrialState.RUNNING,))
        if not going and (left := trials - len(study.trials)) <= 0:
            return folder
        if not going and len({tuple(_texts(one.params).items()) for one in study.trials}) == _combinations(
            search.space
        ):
            say("all combinations are drawn", flush=True)
            return folder
        if not going:
            study.sampler = _sampler(len(study.trials))
            going = [study.ask(search.space) for _ in range(min(left, together))]
        named = _train(search, going, way, engine, say)
        for trial in going:
            study.tell(trial.number, **_answer(folder.result(named[trial.number]), search.metric))
        complete = study.get_trials(states=(TrialState.COMPLETE,))
        best = f"best {search.metric} {study.best_value:.5g}" if complete else "none came to its end"
        say(f"{len(study.trials)} of {trials} trials: {best}", flush=True)


def _combinations(space: Mapping[str, Any]) -> float:
    """How many combinations of values there are; infinity, where one is any number between two."""
    between = lambda kind: kind.high - kind.low + 1 if isinstance(kind.low, int) else math.inf
    return math.prod(len(set(kind.choices)) if hasattr(kind, "choices") else between(kind) for kind in space.values())


def _train(search, going, way, engine, say):
    """Trains the runs of these trials; answers {number of a trial: name of its run}, which several may share."""
    if not all(_lies_in(search.space, trial.params) for trial in going):
        raise UserError(f"{_path(search.workdir)} holds trials of other axes\ntry another --workdir")
    texts = {trial.number: _texts(trial.params) for trial in going}
    distinct = {tuple(spelled.items()): spelled for spelled in texts.values()}
    plan = launch.make_plan(search.workdir, search.base, distinct.values(), way, engine, search.trust)
    names = {tuple(run.axes.items()): run.name for run in plan.runs}
    named = {number: names[tuple(spelled.items())] for number, spelled in texts.items()}
    numbers = {name: number for number, name in named.items()}
    plan, said = launch.describe(plan)
    say(said, flush=True)
    launch.run(plan, Judge(str(_path(search.workdir)), search.metric, numbers))
    return named


def _lies_in(space: Mapping[str, Any], params: Mapping[str, Any]) -> bool:
    """Return whether a trial, which was read from disk, has a value of each axis and no text but their choices."""
    is_value = lambda kind, value: value in kind.choices if hasattr(kind, "choices") else not isinstance(value, str)
    return space.keys() == params.keys() and all(is_value(space[key], value) for key, value in params.items())


def _corners(space: Mapping[str, Any]) -> list[axes.Assignment]:
    """Assignments among which are every choice, both ends of every span, and what lies between."""
    spread = {key: _spread(kind) for key, kind in space.items()}
    first = {key: values[0] for key, values in spread.items()}
    found = [_texts({**first, key: value}) for key, values in spread.items() for value in values]
    return list({tuple(one.items()): one for one in found}.values())


def _spread(kind: Any) -> Sequence[Any]:
    if hasattr(kind, "choices"):
        return kind.choices
    if isinstance(kind.low, int):
        return kind.low, kind.high
    return kind.low, kind.low + 0.381966 * (kind.high - kind.low), kind.high  # between, no whole number by chance


def _answer(result: Mapping[str, Any], metric: str) -> dict[str, Any]:
    """What `study.tell` takes for a run with this result."""
    from optuna.trial import TrialState

    states = {"done": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}
    value = result["best"].get(metric)
    if result["status"] == "done" and value is None:
        return {"state": TrialState.FAIL}
    return {"state": states[result["status"]], **({"values": value} if result["status"] == "done" else {})}


@dataclasses.dataclass(frozen=True)
class Judge:
    """Which of the runs that train together end early; in whatever process they are trained."""

    path: str  # of the study
    metric: str
    numbers: dict[str, int]  # {name of a run: number of its trial}

    def __call__(self, step: int, scores: Mapping[str, Mapping[str, float]]) -> dict[str, str]:
        """{name: reason} of the runs to end, by what they scored at this step."""
        study, ended = _study(self.path), {}
        trials = study.get_trials(deepcopy=False)
        for name, score in scores.items():
            value = score.get(self.metric, math.nan)
            if name in self.numbers and math.isfinite(value):
                trial = compat.optuna_trial(study, trials[self.numbers[name]])
                trial.report(value, step)
                if trial.should_prune():
                    ended[name] = f"{self.metric} {value:.5g} at step {step} is worse than the median"
        return ended


def _path(workdir: str) -> pathlib.Path:
    return pathlib.Path(workdir).absolute() / "search.journal"


def _study(path: str | pathlib.Path, search: Search | None = None) -> Any:
    """The study in this file, made for a `search` where there is none."""
    import optuna
    from optuna.storages import JournalStorage, journal

    storage = JournalStorage(journal.JournalFileBackend(str(path)))
    given = {"sampler": _sampler(0), "pruner": optuna.pruners.MedianPruner(), "study_name": "sweep"}
    if search is None:
        return optuna.load_study(storage=storage, **given)
    direction = {"max": "maximize", "min": "minimize"}[search.direction]
    study = optuna.create_study(storage=storage, **given, direction=direction, load_if_exists=True)
    for key, value in _told(search).items():
        study.set_user_attr(key, value)
    return study


def _told_there(path: pathlib.Path) -> dict[str, Any]:
    """What the study in this file remembers of its search; less, or nothing, where it was killed as it began."""
    try:
        return _study(path).user_attrs if path.exists() else {}
    except KeyError:
        return {}


def _sampler(seed: int) -> Any:
    """Trees of Parzen estimators, for which trials under way count as bad, so that others are tried beside them."""
    import optuna

    return optuna.samplers.TPESampler(seed=seed, constant_liar=True)


def _told(search: Search) -> dict[str, Any]:
    """What a study remembers of its search."""
    return {"metric": search.metric, "axes": {key: repr(kind) for key, kind in search.space.items()}}
