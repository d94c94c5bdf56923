"""A sweep's directory: every name on disk, what stands in each file, and how a sweep is begun, extended and read."""

import contextlib
import csv
import dataclasses
import io
import json
import os
import pathlib
import shutil
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ae_jax.core.errors import UserError
from ae_jax.experiments import configuration, rundir
from ae_jax.sweeps.axes import Assignment

ENDED = ("done", "failed", "pruned")  # the status of a run that is not run again
_PROGRAM = "program.json"
_HEAD = ("run", "status", "reason", "seconds")


@dataclasses.dataclass(frozen=True)
class SweepDir:
    """The paths of a sweep. Each run is a run directory under its own name, with its `result.json`: {"status": "done",
    "failed", "pruned" or "stopped", "reason", "seconds", "way", "final": {metric: .}, "best": {metric: .}}.
    """

    path: pathlib.Path

    plan = property(lambda self: self.path / rundir.SWEEP)
    results = property(lambda self: self.path / "results.csv")
    programs = property(lambda self: self.path / "programs")  # what is under way
    figures = property(lambda self: self.path / "figures")

    @property
    def format(self) -> int:
        """Return the number of the rules by which all its runs read their data, as `rundir.RunDir.format` does."""
        return rundir.format_in(self.plan)

    def run(self, name: str) -> rundir.RunDir:
        return rundir.RunDir(self.path / name)

    def read(self) -> tuple[Any, dict[str, Assignment]]:
        """(base config, {name of a run: its axes}). Raises UserError where this is no sweep's directory."""
        try:
            stored = json.loads(self.plan.read_text())
            if strange := [name for name in stored["runs"] if pathlib.Path(name).name != name]:
                raise ValueError(f"{strange[0]!r} is no name of a run in this directory")
            return configuration.from_plain(stored["config"]), stored["runs"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{self.plan} cannot be read: {error}\nexpected the file that sweep.py wrote") from None

    def result(self, name: str) -> dict[str, Any] | None:
        """The result of a run, or None where it has none yet."""
        return _read(self.run(name).result)

    def ended(self, name: str) -> bool:
        return (self.result(name) or {}).get("status") in ENDED


def is_sweep(workdir: str) -> bool:
    return os.path.isfile(SweepDir(pathlib.Path(workdir)).plan)


def check_is_no_sweep(workdir: str) -> None:
    """Raises UserError, which names a run in it, where this is a sweep's directory."""
    if is_sweep(workdir):
        sweep = SweepDir(pathlib.Path(workdir))
        names = list(sweep.read()[1])
        run = next((name for name in names if sweep.run(name).config.exists()), names[0])
        raise UserError(f"{workdir!r} is a sweep, and this takes one run\ntry --workdir={sweep.run(run).path}")


def check_new_or_same(workdir: str, config: Any, keys: Sequence[str]) -> dict[str, Assignment]:
    """Checks, writing nothing, that a sweep of these axes of `config` may begin or go on in `workdir`.

    Answers the runs it has already, {name: axes}. Raises UserError where the path is not a writable directory, holds a
    single run, or a sweep of another config or over other axes.
    """
    rundir.check_writable(workdir)
    sweep = SweepDir(pathlib.Path(workdir))
    if rundir.RunDir(sweep.path).config.exists():
        raise UserError(f"workdir {workdir!r} holds a single run\ntry another --workdir")
    if not sweep.plan.exists():
        return {}
    stored, runs = sweep.read()
    changed = configuration.differences(configuration.to_plain(stored), configuration.to_plain(config))
    there = next(iter(runs.values())).keys()
    if list(there) != list(keys):
        changed["axes"] = (", ".join(there), ", ".join(keys))
    if changed:
        raise UserError(
            f"workdir {workdir!r} holds a sweep of another plan: {rundir.show(changed)}\ntry another --workdir"
        )
    return runs


def begin(workdir: str, config: Any, runs: Mapping[str, Assignment]) -> SweepDir:
    """The directory, with all these runs in sweep.json. Raises UserError where it cannot be made."""
    sweep = SweepDir(pathlib.Path(workdir).absolute())
    try:
        sweep.path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"workdir {workdir!r} cannot be made: {error}\ntry another --workdir") from None
    plan = {"format": sweep.format, "config": configuration.to_plain(config), "runs": dict(runs)}
    rundir.write_text(sweep.plan, json.dumps(plan, indent=2) + "\n")  # in the order of the axes
    return sweep


def begin_program(folder: pathlib.Path, names: Sequence[str], way: str) -> None:
    """The directory of a program under way, which remembers its runs and the way in which they are trained."""
    folder.mkdir(parents=True, exist_ok=True)
    rundir.write_json(folder / _PROGRAM, {"runs": list(names), "way": way})


def way_of(folder: pathlib.Path) -> str | None:
    """The way in which the program in this directory was begun; None where it was not."""
    return (_read(folder / _PROGRAM) or {}).get("way")


def programs(sweep: SweepDir) -> list[tuple[list[str], str]]:
    """(names of the runs, way) of every program that was begun and has not ended."""
    found = [_read(path) for path in sorted(sweep.programs.glob(f"*/{_PROGRAM}"))]
    return [(program["runs"], program["way"]) for program in found if program]


def clear_ended(sweep: SweepDir) -> None:
    """Removes what a kill has left of programs whose runs had all ended."""
    for folder in sweep.programs.glob("*"):
        if (program := _read(folder / _PROGRAM)) and all(map(sweep.ended, program["runs"])):
            end_program(folder)


def end_program(folder: pathlib.Path) -> None:
    """Removes the directory of a program whose runs have ended, its checkpoints first: of what a kill leaves, nothing
    gives a run that is trained anew its old end.
    """
    shutil.rmtree(rundir.RunDir(folder).checkpoints, ignore_errors=True)
    shutil.rmtree(folder)
    with contextlib.suppress(OSError):  # others are under way
        folder.parent.rmdir()


def _read(path: pathlib.Path) -> dict[str, Any] | None:
    """The JSON in a file; None where there is none, or what a power cut left of it."""
    try:
        return json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return None


def outcome(lines: Iterable[Mapping[str, Any]], split: str, better: Mapping[str, str]) -> dict[str, dict[str, float]]:
    """{"final", "best"}: of the scores on `split`, the last ones, and the best of each by its own direction in
    `better`. A run that was never evaluated has as its final ones the means of its last steps.
    """
    plain = [{k: v for k, v in line.items() if k != "step"} for line in lines]
    scored = [line for line in plain if line["split"] == split] or plain[-1:]
    final = {k: v for k, v in (scored[-1] if scored else {}).items() if k != "split"}
    found = {k: values for k in better if (values := [line[k] for line in scored if k in line])}
    return {"final": final, "best": {k: (max if better[k] == "max" else min)(values) for k, values in found.items()}}


def rows(sweep: SweepDir) -> list[dict[str, Any]]:
    """One row a run, in the order of the plan: its name, status, reason, seconds, axes, final.METRIC, best.METRIC."""
    answered = []
    for name, axes in sweep.read()[1].items():
        result = sweep.result(name) or {"status": "waiting", "reason": "", "seconds": ""}
        row = {"run": name, **{key: result[key] for key in _HEAD[1:]}, **axes}
        for kind in ("final", "best"):
            row |= {f"{kind}.{metric}": value for metric, value in result.get(kind, {}).items()}
        answered.append(row)
    return answered


def write_results(sweep: SweepDir) -> None:
    """Brings results.csv up to date."""
    found, axes = rows(sweep), next(iter(sweep.read()[1].values()))
    numbers = dict.fromkeys(key for row in found for key in row)
    head = dict.fromkeys((*_HEAD, *axes, *sorted(numbers, key=lambda key: key.startswith("best."))))
    file = io.StringIO()
    writer = csv.DictWriter(file, list(head), lineterminator="\n")
    writer.writeheader()
    writer.writerows(found)
    rundir.write_text(sweep.results, file.getvalue())


def table(sweep: SweepDir, column: str, direction: str, count: int) -> str:
    """The `count` runs with the best numbers in this column of results.csv, with their axes; "" where none has it."""
    axes = list(next(iter(sweep.read()[1].values())))
    scored = [row for row in rows(sweep) if row["status"] == "done" and column in row]
    scored = sorted(scored, key=lambda row: row[column], reverse=direction == "max")[:count]
    if not scored:
        return ""
    body = [[f"{row[column]:.5g}", *(row[key] for key in axes)] for row in scored]
    widths = [max(map(len, cells)) for cells in zip((column, *axes), *body)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(cells, widths)) for cells in ((column, *axes), *body))
    return "\n".join(line.rstrip() for line in lines)
