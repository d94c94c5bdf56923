"""A sweep from its plan to its results: what is left to train, how, and by which engine."""

import dataclasses
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jax

from ae_jax.core.errors import RunFailed, UserError
from ae_jax.experiments import analysis, checks, configuration, hooks, locks, open_run, trusted
from ae_jax.sweeps import compiled, directory, results
from ae_jax.sweeps.axes import Assignment
from ae_jax.sweeps.engines import Engine, local
from ae_jax.sweeps.plan import Group, Run, describe_runs, group_runs, make_runs
from ae_jax.sweeps.task import Judge, Task

# The keys that only a run which has the machine to itself may set, with their defaults.
_OF_A_SINGLE_RUN = {"mesh.data": -1, "mesh.fsdp": 1, "data.stream": None}


@dataclasses.dataclass(frozen=True)
class Plan:
    """A sweep, and what of it has not ended yet.

    Attributes:
      workdir: the sweep's directory.
      base: the config that all runs share.
      known: {name: values of the axes} of the runs of earlier plans in this directory.
      runs: the runs of this plan.
      groups: (compiled group, way) of all groups with runs to train. The way is "auto" before it is measured.
      engine: where the groups are trained.
      machines: what is compiled in this process for the groups.
      trust: modules outside ae_jax that stored configs may name, as in `ae_jax.experiments.experiment.build`.
    """

    workdir: str
    base: Any
    known: dict[str, Assignment]
    runs: list[Run]
    groups: list[tuple[Group, str]]
    engine: Engine
    machines: compiled.Machines
    trust: tuple[str, ...] = ()


# --- planning ---------------------------------------------------------------------------------------------------------


def make_plan(
    workdir: str,
    base: Any,
    assignments: Iterable[Assignment],
    way: str = "auto",
    engine: Engine | None = None,
    trust: Sequence[str] = (),
    machines: compiled.Machines | None = None,
) -> Plan:
    """Plan a sweep, without writing.

    A compiled group that was stopped goes on with its own runs. All other runs that have not ended are grouped anew,
    and the groups are split into enough parts to keep all workers of the engine busy.

    Args:
      workdir: path of the sweep's directory.
      base: the config that all runs share.
      assignments: the values of the axes, of one run each.
      way: how the runs of a group are trained together: "map", "threads" or "vmap", or "auto" to measure it.
      engine: where the groups are trained; None for this process.
      trust: modules that runs which are read from disk may name, beside those that `base` and the assignments name.
      machines: what earlier plans of this process have compiled, or None.

    Raises:
      UserError: if a run is not valid, or if the directory holds something else.
    """
    base, assignments, machines = (checks.complete(base), list(assignments), machines or compiled.Machines())
    engine = engine or local.make()
    if "data.path" not in assignments[0]:  # else each run reads data of its own
        (base,) = open_run.pinned([base], trust)
    known = directory.check_new_or_same(workdir, base, list(assignments[0]))
    runs = _pinned(make_runs(base, assignments, known), trust)
    for run in runs:
        _check_shares_machine(run.config)
    folder = directory.SweepDir(pathlib.Path(workdir))
    pending = {run.name: run for run in runs if not folder.ended(run.name)}
    # A stopped group may have runs that are not in this plan.
    everything = {run.name: run for run in make_runs(base, known.values(), known)} | pending
    named = trusted.modules(base, *assignments)
    groups = []
    for names, earlier_way in directory.groups_in_training(folder):
        if pending.keys() & set(names):
            resumed = [everything[name] for name in names]
            _check_trusted(resumed, (*trust, *named), folder)
            groups.append((Group(tuple(_pinned(resumed, trust))), earlier_way if way == "auto" else way))
            pending = {name: run for name, run in pending.items() if name not in names}
    # The division rounds up, so that a single group is split into no more parts than there are workers.
    share = -(-len(pending) // engine.workers)
    for group in group_runs(list(pending.values())):
        most = machines.of(group.runs[0].config, folder.format, trust).most_together()
        groups += [(part, way) for part in group.parts(min(most, share))]
    return Plan(workdir, base, known, runs, groups, engine, machines, tuple(trust))


def _pinned(runs: Sequence[Run], trust: Sequence[str]) -> list[Run]:
    """Return the runs with configs as `open_run.pinned` has them."""
    configs = open_run.pinned([run.config for run in runs], trust)
    return [dataclasses.replace(run, config=config) for run, config in zip(runs, configs, strict=True)]


def _check_shares_machine(config: Any) -> None:
    """Raise UserError if a config sets a key that is not allowed in a sweep."""
    for key, default in _OF_A_SINGLE_RUN.items():
        value = configuration.value_at(config, key)
        if value and value != default:
            raise UserError(
                f"{key}={value} in a sweep, which places its runs on the devices itself\n"
                "leave it out, or train this run with train.py"
            )


def _check_trusted(runs: Iterable[Run], trust: Sequence[str], folder: directory.SweepDir) -> None:
    """Raise UserError if a run that was read from disk names a module that is not trusted."""
    for run in runs:
        trusted.check(run.config, trust, folder.plan)


def describe(plan: Plan) -> tuple[Plan, str]:
    """Choose a way for every group of a plan, and describe the plan.

    Measuring the ways takes some seconds for each group. Groups that are trained on other machines are measured there.

    Args:
      plan: the plan.

    Returns:
      (the plan with the chosen ways, lines of text).
    """
    folder = directory.SweepDir(pathlib.Path(plan.workdir))
    lines = [describe_runs(plan.runs, group_runs(plan.runs))]
    ended = sum(folder.ended(run.name) for run in plan.runs)
    if ended:
        lines.append(f"  {ended} ended before")
    if not plan.engine.is_here:
        lines += [f"  program {group.name}: {len(group.runs)} x {way}" for group, way in plan.groups]
        return plan, "\n".join(lines)
    groups, total = [], 0.0
    for group, way in plan.groups:
        machine = plan.machines.of(group.runs[0].config, folder.format, plan.trust)
        estimate = machine.estimate(len(group.runs), way)
        groups.append((group, estimate.way))
        total += estimate.seconds
        lines.append(
            f"  program {group.name}: {len(group.runs)} x {estimate.way}, about {hooks.clock(estimate.seconds)}, "
            f"{estimate.state_bytes / 1e6:.2f} MB of parameters and optimizer a run"
        )
    if any(way == "vmap" for _, way in groups):
        lines.append(
            "  vmap rounds differently from train.py: parameters agree within 1e-5 for about 20 steps; training is "
            "chaotic,\n  so later only metrics agree, within their standard deviation over seeds"
        )
    total /= min(plan.engine.workers, max(len(groups), 1))
    devices = jax.local_device_count()
    where = f" on {devices} devices" if devices > 1 else ""
    lines.append(f"  training takes about {hooks.clock(total)} in all{where}; evaluating and saving come on top")
    return dataclasses.replace(plan, groups=groups), "\n".join(lines)


# --- training ---------------------------------------------------------------------------------------------------------


def run(plan: Plan, judge: Judge | None = None) -> directory.SweepDir:
    """Train what a plan leaves to train, keeping results.csv up to date.

    Args:
      plan: the plan.
      judge: returns at each evaluation which runs end early, or None.

    Returns:
      The sweep's directory.

    Raises:
      UserError: if another process writes in the directory, or has done so since the plan was made.
      RunFailed: if training was stopped; the same command goes on.
    """
    with locks.held(plan.workdir):
        _check_is_current(plan)
        return run_locked(plan, judge)


def run_locked(plan: Plan, judge: Judge | None = None) -> directory.SweepDir:
    """Train a plan as `run` does, where the caller holds the lock of the directory."""
    # Known runs come first and keep their places, so that the rows of results.csv do.
    runs = plan.known | {run.name: run.axes for run in plan.runs if run.name not in plan.known}
    folder = directory.begin(plan.workdir, plan.base, runs)
    directory.clear_ended(folder)
    results.write(folder)
    tasks = []
    for group, way in plan.groups:
        configs = {run.name: configuration.to_plain(run.config) for run in group.runs}
        tasks.append(Task(str(folder.path), group.name, configs, way, judge, plan.trust))
    try:
        ended = plan.engine.train(tasks, lambda: results.write(folder), plan.machines)
    finally:
        # After a stop or an error, results.csv must also show the runs that had ended by then.
        results.write(folder)
    if not ended:
        raise RunFailed(f"stopped, saved in {folder.path}\nrun the same command again to go on")
    return folder


def _check_is_current(plan: Plan) -> None:
    """Raise UserError if another process has ended runs of a plan since it was made."""
    folder = directory.SweepDir(pathlib.Path(plan.workdir))
    for group, _ in plan.groups:
        # A group that was stopped may hold runs that had ended before.
        if all(folder.ended(run.name) for run in group.runs):
            raise UserError(f"another process has trained {group.runs[0].name!r} meanwhile\nrun the same command again")


# --- results ----------------------------------------------------------------------------------------------------------


def best(folder: directory.SweepDir, count: int, metric: str = "") -> str:
    """Return a text table of the best runs of a sweep.

    Runs are compared by their best value of a metric. Without a validation split they are compared by the last value,
    because nothing is chosen by test data.

    Args:
      folder: the sweep's directory.
      count: how many runs to list.
      metric: the metric; "" for the criterion of the base config.

    Returns:
      Lines of text, or "" if the runs have no such metric.
    """
    config, _ = folder.read()
    name, better = metric or config.eval.criterion, analysis.directions(config)
    if name not in better:
        return ""
    kind = "best" if config.data.validation else "final"
    return results.best_table(folder, f"{kind}.{name}", better[name], count)


def failures(folder: directory.SweepDir, names: Iterable[str]) -> list[str]:
    """Return one line of text, "NAME: REASON", for each run that failed.

    Args:
      folder: the sweep's directory.
      names: the names of the runs to look at.
    """
    lines = []
    for name in names:
        result: Mapping[str, Any] = folder.result(name) or {}
        if result.get("status") == "failed":
            lines.append(f"{name}: {result['reason']}")
    return lines
