"""A sweep from its plan to its results: what is still to be trained, in which way, and by which engine.

An engine is a function (tasks, ended) -> whether all came to their ends: it trains each by `lockstep.train_task`,
wherever it likes, and calls `ended()` after each.
"""

import dataclasses
import pathlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ae_jax import analysis, configuration, hooks, lockstep, machine, sweep, sweepdir
from ae_jax.axes import Assignment
from ae_jax.errors import RunFailed

Engine = Callable[[Sequence[lockstep.Task], Callable[[], None]], bool]


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a sweep is, and what of it has not ended yet."""

    workdir: str
    base: Any
    known: dict[str, Assignment]  # the runs of earlier plans in this directory, by name
    runs: list[sweep.Run]  # the ones asked for
    programs: list[tuple[sweep.Program, str]]  # those with runs to train, each with its way: "auto", "map" or "vmap"


def make_plan(workdir: str, base: Any, assignments: Iterable[Assignment], way: str = "auto") -> Plan:
    """Plans the runs of a config with these keys set, writing nothing.

    A program that was stopped goes on as it was, with its own runs; what else has not ended is grouped afresh.
    Raises UserError for runs that cannot be, and for a directory that holds something else.
    """
    assignments = list(assignments)
    known = sweepdir.check_new_or_same(workdir, base, list(assignments[0]))
    runs = sweep.make_runs(base, assignments, known)
    folder = sweepdir.SweepDir(pathlib.Path(workdir))
    pending = {run.name: run for run in runs if not folder.ended(run.name)}
    everything = {run.name: run for run in sweep.make_runs(base, known.values(), known)} | pending if known else pending
    programs = []
    for names, earlier in sweepdir.programs(folder):
        if pending.keys() & set(names):
            programs.append(
                (sweep.Program(tuple(everything[name] for name in names)), earlier if way == "auto" else way)
            )
            pending = {name: run for name, run in pending.items() if name not in names}
    for program in sweep.group(list(pending.values())):
        most = machine.of(program.runs[0].config).most_together()
        programs += [(part, way) for part in program.parts(most)]
    return Plan(workdir, base, known, runs, programs)


def describe(plan: Plan) -> tuple[Plan, str]:
    """(the plan with a way for every program, what to tell of it): chosen by measuring, which takes seconds each."""
    lines, programs, total = [sweep.describe(plan.runs, sweep.group(plan.runs))], [], 0.0
    if ended := len(plan.runs) - sum(len(program.runs) for program, _ in plan.programs):
        lines.append(f"  {ended} ended before")
    for program, way in plan.programs:
        estimate = machine.of(program.runs[0].config).estimate(len(program.runs), way)
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
    lines.append(f"  training takes about {hooks.clock(total)} in all; evaluating and saving come on top")
    return dataclasses.replace(plan, programs=programs), "\n".join(lines)


def run(plan: Plan, engine: Engine | None = None) -> sweepdir.SweepDir:
    """Trains what the plan leaves to train, keeping results.csv up to date; answers the sweep's directory.

    Raises RunFailed where it was stopped.
    """
    names = {run.name: run.axes for run in plan.runs}
    folder = sweepdir.begin(
        plan.workdir, plan.base, plan.known | {k: v for k, v in names.items() if k not in plan.known}
    )
    write = lambda: sweepdir.write_results(folder)
    write()
    tasks = [
        lockstep.Task(
            str(folder.path),
            program.name,
            {run.name: configuration.to_plain(run.config) for run in program.runs},
            way,
        )
        for program, way in plan.programs
    ]
    try:
        ended = (engine or local)(tasks, write)
    finally:
        write()
    if not ended:
        raise RunFailed(f"stopped, saved in {folder.path}\nthe same command goes on from there")
    return folder


def local(tasks: Sequence[lockstep.Task], ended: Callable[[], None]) -> bool:
    """The engine that trains one program after the other in this process."""
    stop = hooks.Stop()
    try:
        for number, task in enumerate(tasks, 1):
            print(f"program {number} of {len(tasks)}: {len(task.runs)} x {task.way}", flush=True)
            if not lockstep.train_task(task, lambda: stop.requested):
                return False
            ended()
    finally:
        stop.restore()
    return True


def best(folder: sweepdir.SweepDir, count: int) -> str:
    """A table of the best runs by the base config's criterion: its best value, or without a validation split its last,
    as none is chosen on test data. "" where there is no such metric.
    """
    config, _ = folder.read()
    name, better = config.eval.criterion, analysis.directions(config)
    if name not in better:
        return ""
    column = f"{'best' if config.data.validation else 'final'}.{name}"
    return sweepdir.table(folder, column, better[name], count)


def failures(folder: sweepdir.SweepDir, plan: Plan) -> list[str]:
    """One line for each run of the plan that failed."""
    results = {run.name: folder.result(run.name) for run in plan.runs}
    return [f"{name}: {result['reason']}" for name, result in results.items() if result["status"] == "failed"]
