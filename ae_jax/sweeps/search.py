"""A search for the best values of axes by Optuna, whose trials are runs of a sweep.

Several trials are drawn at a time, and those of one compiled group train together. The study is kept in the sweep's
directory. A trial is pruned when its score at an evaluation is worse than the median of the scores that at least five
finished trials had at that step (Golovin et al. 2017, "Google Vizier", section 3.2.2).
"""

import dataclasses
import logging
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

from ae_jax.core import errors
from ae_jax.core.errors import UserError
from ae_jax.experiments import analysis, checks, locks, open_run
from ae_jax.sweeps import compiled, directory, launch, search_space, study
from ae_jax.sweeps.engines import Engine


@dataclasses.dataclass(frozen=True)
class Search:
    """A search for the values that are best in a metric.

    Attributes:
      workdir: the sweep's directory.
      base: the config that all runs share.
      space: the axes.
      metric: the metric.
      direction: "max" if larger values of the metric are better, else "min".
      trust: modules outside ae_jax that stored configs may name, as in `ae_jax.experiments.experiment.build`.
    """

    workdir: str
    base: Any
    space: search_space.Space
    metric: str
    direction: str
    trust: tuple[str, ...] = ()


# --- making a search --------------------------------------------------------------------------------------------------


def make(
    workdir: str,
    base: Any,
    texts: Sequence[str],
    minimize: str = "",
    maximize: str = "",
    trust: Sequence[str] = (),
) -> Search:
    """Make a search, without writing.

    Args:
      workdir: path of the sweep's directory.
      base: the config that all runs share.
      texts: the axes as "KEY=VALUES".
      minimize: the metric, if smaller values are better, or "".
      maximize: the metric, if larger values are better, or "". Without a metric, the config's criterion is taken.
      trust: as in `ae_jax.sweeps.launch.make_plan`.

    Raises:
      UserError: if Optuna is not installed, if the axes, the metric or the config are not fit for a search, or if the
        directory holds another search.
    """
    _import_optuna()
    base = checks.complete(base)
    space = dict(map(search_space.parse, texts))
    if not space:
        raise UserError("a search needs an axis\nuse --axis=KEY=VALUES, such as optimizer.learning_rate=log:1e-4:1e-2")
    if len(space) < len(texts):
        raise UserError("two axes of one key\nuse one axis with all its values")
    if not base.data.validation:
        raise UserError("a search compares runs on a validation split\nuse --config.data.validation=1000")
    if not base.train.eval_every or not base.eval.metrics:
        raise UserError("a search needs evaluations during training\nuse --config.train.eval_every=100")
    metric, direction = _goal(base, minimize, maximize)
    # If data.path is an axis, the trials read different runs, and no single digest fits the base config.
    if "data.path" not in space:
        (base,) = open_run.pinned([base], trust)
    search = Search(workdir, base, space, metric, direction, tuple(trust))
    directory.check_new_or_same(workdir, base, list(space))
    stored = study.stored_facts(study.path_of(workdir))
    # A search that was killed as it began may have stored only a part.
    if not stored.items() <= _description(search).items():
        raise UserError(f"workdir {workdir!r} holds another search: {stored}\nuse another --workdir")
    return search


def _goal(base: Any, minimize: str, maximize: str) -> tuple[str, str]:
    """Return (metric, better direction) of a search, or raise UserError."""
    if minimize and maximize:
        raise UserError("both --minimize and --maximize\nuse one of them")
    better = analysis.directions(base)
    metric = minimize or maximize or base.eval.criterion
    if metric not in better:
        raise errors.unknown("metric among those of eval.metrics", metric, better)
    if minimize and better[metric] == "max":
        raise UserError(f"larger values of {metric!r} are better\nuse --maximize={metric}")
    if maximize and better[metric] == "min":
        raise UserError(f"smaller values of {metric!r} are better\nuse --minimize={metric}")
    return metric, better[metric]


def _import_optuna() -> None:
    """Check that Optuna is installed, and keep it from logging every trial."""
    try:
        import optuna
    except ImportError:
        raise UserError("--search needs Optuna, which is not installed\nuse pip install -e .[search]") from None
    optuna.logging.set_verbosity(logging.WARNING)


# --- running a search -------------------------------------------------------------------------------------------------


def run(
    search: Search, trials: int, together: int, way: str, engine: Engine, say: Callable[..., None] = print
) -> directory.SweepDir:
    """Train trials until enough of them have ended, or all combinations of values are drawn.

    Trials that were under way when the search was stopped come first.

    Args:
      search: the search.
      trials: how many trials to end, with those of earlier calls.
      together: how many trials to draw at a time.
      way: how the runs of a compiled group are trained together, as in `ae_jax.sweeps.launch.make_plan`.
      engine: where they are trained.
      say: prints a line; takes the arguments of `print`.

    Returns:
      The sweep's directory.

    Raises:
      UserError: before anything is written, if the space holds values that are not valid.
      RunFailed: if training was stopped; the same command goes on.
    """
    machines = compiled.Machines()
    folder = directory.SweepDir(pathlib.Path(search.workdir).absolute())
    corners = search_space.corners(search.space)
    # The corners are planned before the lock makes the directory, so that a mistake leaves nothing behind.
    launch.make_plan(search.workdir, search.base, corners, way, trust=search.trust, machines=machines)
    with locks.held(folder.path):
        return _draw_and_train(search, trials, together, way, engine, machines, say)


def _draw_and_train(
    search: Search,
    trials: int,
    together: int,
    way: str,
    engine: Engine,
    machines: compiled.Machines,
    say: Callable[..., None],
) -> directory.SweepDir:
    """Train trials until enough of them have ended; see `run`."""
    from optuna.trial import TrialState

    folder = directory.SweepDir(pathlib.Path(search.workdir).absolute())
    journal = study.open_study(study.path_of(search.workdir), search.direction, _description(search))
    while True:
        going = journal.get_trials(states=(TrialState.RUNNING,))
        if not going:
            left = trials - len(journal.trials)
            if left <= 0:
                return folder
            drawn = search_space.distinct(search_space.texts(trial.params) for trial in journal.trials)
            if len(drawn) == search_space.combinations(search.space):
                say("all combinations are drawn", flush=True)
                return folder
            # Seeded by the trials there are: a search that was stopped draws what it would have drawn.
            journal.sampler = study.sampler(len(journal.trials))
            going = [journal.ask(search.space) for _ in range(min(left, together))]
        names = _train(search, going, way, engine, machines, say)
        for trial in going:
            journal.tell(trial.number, **study.report(folder.result(names[trial.number]), search.metric))
        complete = journal.get_trials(states=(TrialState.COMPLETE,))
        best = f"best {search.metric} {journal.best_value:.5g}" if complete else "none came to its end"
        say(f"{len(journal.trials)} of {trials} trials: {best}", flush=True)


def _train(
    search: Search,
    going: Sequence[Any],
    way: str,
    engine: Engine,
    machines: compiled.Machines,
    say: Callable[..., None],
) -> dict[int, str]:
    """Train the runs of trials, and return {number of a trial: name of its run}.

    Several trials may share a run.
    """
    if not all(search_space.contains(search.space, trial.params) for trial in going):
        raise UserError(f"{study.path_of(search.workdir)} holds trials of other axes\nuse another --workdir")
    texts = {trial.number: search_space.texts(trial.params) for trial in going}
    assignments = search_space.distinct(texts.values())
    plan = launch.make_plan(search.workdir, search.base, assignments, way, engine, search.trust, machines)
    name_of = {tuple(run.axes.items()): run.name for run in plan.runs}
    names = {number: name_of[tuple(spelled.items())] for number, spelled in texts.items()}
    numbers = {name: number for number, name in names.items()}
    plan, described = launch.describe(plan)
    say(described, flush=True)
    launch.run_locked(plan, study.MedianJudge(str(study.path_of(search.workdir)), search.metric, numbers))
    return names


def _description(search: Search) -> dict[str, Any]:
    """Return the facts by which a study recognizes its search."""
    return {"metric": search.metric, "axes": {key: repr(kind) for key, kind in search.space.items()}}
