"""A sweep from its plan to its results: what is still to be trained, in which way, and by which engine."""

import dataclasses
import pathlib
from collections.abc import Iterable, Sequence
from typing import Any

import jax

from ae_jax.core.errors import RunFailed, UserError
from ae_jax.experiments import analysis, configuration, hooks, open_run, trusted
from ae_jax.sweeps import compiled, directory, lockstep
from ae_jax.sweeps.axes import Assignment
from ae_jax.sweeps.engines import Engine, local
from ae_jax.sweeps.plan import Program, Run, describe_runs, group, make_runs


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a sweep is, and what of it has not ended yet."""

    workdir: str
    base: Any
    known: dict[str, Assignment]  # the runs of earlier plans in this directory, by name
    runs: list[Run]  # the ones asked for
    programs: list[tuple[Program, str]]  # those with runs to train, each with its way: "auto", "map" or "vmap"
    engine: Engine
    trust: tuple[str, ...] = ()  # as in `experiment.build`


def make_plan(
    workdir: str,
    base: Any,
    assignments: Iterable[Assignment],
    way: str = "auto",
    engine: Engine | None = None,
    trust: Sequence[str] = (),
) -> Plan:
    """Plans the runs of a config with these keys set, writing nothing.

    A program that was stopped goes on as it was, with its own runs; what else has not ended is grouped afresh, and cut
    into as many parts as keep all the engine's workers busy. The default engine is this process.
    trust: modules that runs which are read from disk may name, beside those that `base` and the assignments name.
    Raises UserError for runs that cannot be, and for a directory that holds something else.
    """
    assignments, engine = list(assignments), engine or local.make()
    if "data.path" not in assignments[0]:  # else each run reads data of its own
        (base,) = open_run.pinned([base], trust)
    known = directory.check_new_or_same(workdir, base, list(assignments[0]))
    runs = _pinned(make_runs(base, assignments, known), trust)
    for run in runs:
        _check_alone(run.config)
    folder = directory.SweepDir(pathlib.Path(workdir))
    pending = {run.name: run for run in runs if not folder.ended(run.name)}
    everything = {run.name: run for run in make_runs(base, known.values(), known)} | pending if known else pending
    programs, named = [], trusted.modules(base, *assignments)
    for names, earlier in directory.programs(folder):
        if pending.keys() & set(names):
            resumed = [everything[name] for name in names]
            for run in resumed:
                trusted.check(run.config, (*trust, *named), folder.plan)
            programs.append((Program(tuple(_pinned(resumed, trust))), earlier if way == "auto" else way))
            pending = {name: run for name, run in pending.items() if name not in names}
    share = -(-len(pending) // engine.workers)
    for program in group(list(pending.values())):
        most = compiled.of(program.runs[0].config, trust).most_together()
        programs += [(part, way) for part in program.parts(min(most, share))]
    return Plan(workdir, base, known, runs, programs, engine, tuple(trust))


def _pinned(runs: Sequence[Run], trust: Sequence[str]) -> list[Run]:
    """Return the runs with configs as `open_run.pinned` has them."""
    configs = open_run.pinned([run.config for run in runs], trust)
    return [dataclasses.replace(run, config=config) for run, config in zip(runs, configs, strict=True)]


def _check_alone(config: Any) -> None:
    """Raises UserError for what is of a run that has the machine to itself."""
    for key, default in (("mesh.data", -1), ("mesh.fsdp", 1), ("data.stream", None)):
        if (value := configuration.value_at(config, key)) and value != default:
            raise UserError(f"{key}={value} in a sweep, whose runs are spread over the devices\ntry train.py")


def describe(plan: Plan) -> tuple[Plan, str]:
    """(the plan with a way for every program, what to tell of it): chosen by measuring, which takes seconds each.

    What is trained elsewhere is measured there.
    """
    lines, programs, total = [describe_runs(plan.runs, group(plan.runs))], [], 0.0
    folder = directory.SweepDir(pathlib.Path(plan.workdir))
    if ended := sum(folder.ended(run.name) for run in plan.runs):
        lines.append(f"  {ended} ended before")
    if not plan.engine.is_here:
        lines += [f"  program {program.name}: {len(program.runs)} x {way}" for program, way in plan.programs]
        return plan, "\n".join(lines)
    for program, way in plan.programs:
        estimate = compiled.of(program.runs[0].config, plan.trust).estimate(len(program.runs), way)
        programs.append((program, estimate.way))
        total += estimate.seconds
        lines.append(
            f"  program {program.name}: {len(program.runs)} x {estimate.way}, about {hooks.clock(estimate.seconds)}, "
            f"{estimate.state_bytes / 1e6:.2f} MB of parameters and optimizer a run"
        )
    if any(way == "vmap" for _, way in programs):
        lines.append(
            "  vmap rounds otherwise than train.py: parameters agree within 1e-5 for some 20 steps; as training is "
            "chaotic,\n  later only metrics agree, within their spread over seeds"
        )
    total /= min(plan.engine.workers, max(len(programs), 1))
    devices = jax.local_device_count()
    where = f" on {devices} devices" if devices > 1 else ""
    lines.append(f"  training takes about {hooks.clock(total)} in all{where}; evaluating and saving come on top")
    return dataclasses.replace(plan, programs=programs), "\n".join(lines)


def run(plan: Plan, judge: lockstep.Judge | None = None) -> directory.SweepDir:
    """Trains what the plan leaves to train, keeping results.csv up to date; answers the sweep's directory.

    judge: says at each evaluation which runs end early.
    Raises RunFailed where it was stopped.
    """
    names = {run.name: run.axes for run in plan.runs}
    folder = directory.begin(
        plan.workdir, plan.base, plan.known | {k: v for k, v in names.items() if k not in plan.known}
    )
    directory.clear_ended(folder)
    write = lambda: directory.write_results(folder)
    write()
    tasks = [
        lockstep.Task(
            str(folder.path),
            program.name,
            {run.name: configuration.to_plain(run.config) for run in program.runs},
            way,
            judge,
            plan.trust,
        )
        for program, way in plan.programs
    ]
    try:
        ended = plan.engine.train(tasks, write)
    finally:
        write()
    if not ended:
        raise RunFailed(f"stopped, saved in {folder.path}\nthe same command goes on from there")
    return folder


def best(folder: directory.SweepDir, count: int, metric: str = "") -> str:
    """A table of the best runs by a metric, that of the base config's criterion unless it is named: its best value, or
    without a validation split its last, as none is chosen on test data. "" where there is no such metric.
    """
    config, _ = folder.read()
    name, better = metric or config.eval.criterion, analysis.directions(config)
    if name not in better:
        return ""
    column = f"{'best' if config.data.validation else 'final'}.{name}"
    return directory.table(folder, column, better[name], count)


def failures(folder: directory.SweepDir, names: Iterable[str]) -> list[str]:
    """One line for each of these runs that failed."""
    results = {name: folder.result(name) for name in names}
    return [
        f"{name}: {result['reason']}" for name, result in results.items() if result and result["status"] == "failed"
    ]
