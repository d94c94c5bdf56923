"""Reports: one self-contained page on a run, on several runs side by side, or on a sweep."""

import base64
import dataclasses
import importlib
import math
import os
import pathlib
import shlex
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from ae_jax.commands import charts, reproduce, verdicts
from ae_jax.core import files
from ae_jax.core.errors import UserError
from ae_jax.data.sources import called
from ae_jax.experiments import configuration, locks, rundir
from ae_jax.plots import pages
from ae_jax.sweeps import directory, grouping, results


def write(workdir: str, compare: Sequence[str] = (), output: str = "") -> pathlib.Path:
    """Write report.html into the directory of a run or of a sweep, or into another folder.

    Needs neither the data nor the model: the numbers come from files of the runs and from benchmarks/results.json.

    Args:
      workdir: the directory.
      compare: other runs to show beside this one.
      output: the folder for the page; "" for the directory itself.

    Returns:
      The path of the page.

    Raises:
      RunFailed: if the disk is full or read-only.
      UserError: if one of the directories is not a run.
    """
    path = pathlib.Path(workdir).absolute()
    if directory.is_sweep(workdir):
        if compare:
            raise UserError(f"{workdir!r} is a sweep, and --compare is for single runs\nleave out --compare")
        page = of_sweep(directory.SweepDir(path))
    else:
        page = of_runs([rundir.RunDir(pathlib.Path(one).absolute()) for one in (workdir, *compare)])
    folder = pathlib.Path(output).absolute() if output else path
    with files.naming_disk_errors(folder, files.ELSEWHERE), locks.held(folder, "--output"):
        rundir.write_text(folder / "report.html", page.html)
    return folder / "report.html"


def of_runs(runs: Sequence[rundir.RunDir]) -> pages.Page:
    """Render the page of one run, or of several side by side.

    Args:
      runs: the runs; links are relative to the first one's directory.
    """
    names = _names([run.path for run in runs])
    described = [_describe(name, run, runs[0].path) for name, run in zip(names, runs, strict=True)]
    # dict.fromkeys removes duplicates and, unlike a set, keeps the order.
    keys = dict.fromkeys(key for one in described for key in one.config)
    metrics = dict.fromkeys(key for one in described for key in one.scores if not key.endswith("_se"))
    timings = dict.fromkeys(key for one in described for key in one.timings)
    # Unchanged keys that all runs share would hide the few that matter.
    shown = []
    for key in keys:
        texts = {str(one.config.get(key)) for one in described}
        if len(texts) > 1 or key in described[0].changed:
            shown.append(key)
    curves_of = {one.name: rundir.read_lines(run.metrics) for one, run in zip(described, runs, strict=True)}
    return pages.render(
        "report.html",
        title=" and ".join(names),
        script=charts.script(),
        told=described,
        metrics=[(key, [_with_error(one.scores, key) for one in described]) for key in metrics],
        timings=[(key, [_number(one.timings.get(key, "")) for one in described]) for key in timings],
        settings=[(key, [one.config.get(key, "") for one in described]) for key in shown],
        charts=charts.curves(curves_of),
    )


def of_sweep(sweep: directory.SweepDir) -> pages.Page:
    """Render the page of a sweep: a table of its runs, and charts of metrics against axes."""
    rows = results.rows(sweep)
    # The axes are the keys that the first run assigns.
    axes = list(next(iter(sweep.read()[1].values())))
    columns = list(dict.fromkeys(key for row in rows for key in row))
    points = _with_numbers(rows, axes)
    names = [row["run"] for row in rows]
    links = {name: f"{name}/report.html" for name in names if (sweep.path / name / "report.html").exists()}
    return pages.render(
        "sweep_report.html",
        title=sweep.path.name,
        script=charts.script(),
        columns=columns,
        rows=[[_number(row.get(column, "")) for column in columns] for row in rows],
        links=links,
        done=sum(row["status"] == "done" for row in rows),
        charts=charts.against_axes(points, axes),
        parallel=charts.parallel(points, axes),
    )


def _with_numbers(rows, axes):
    """Return a sweep's rows, with numbers in place of texts on axes that have numbers only."""
    for axis in axes:
        numbers = [grouping.number(row[axis]) for row in rows]
        if all(map(math.isfinite, numbers)):
            rows = [{**row, axis: number} for row, number in zip(rows, numbers, strict=True)]
    return rows


@dataclasses.dataclass(frozen=True)
class _Described:
    """The contents of the page that concern one run."""

    name: str
    summary: str
    command: str
    scores: Mapping[str, float]
    verdicts: Sequence[verdicts.Line]
    config: Mapping[str, Any]  # {dotted key: value}
    changed: Sequence[str]  # keys that differ from what every config starts from
    versions: Mapping[str, Any]
    timings: Mapping[str, float]
    pictures: Sequence[tuple[str, str]]  # (name, data URI)
    pages: Sequence[str]  # links to the figures that are pages themselves


def _names(paths: Sequence[pathlib.Path]) -> list[str]:
    """Name the runs by their directories, with parent folders where two have the same name."""
    names = [path.name for path in paths]
    if len(set(names)) == len(names):
        return names
    common = os.path.commonpath([path.parent for path in paths])
    return [os.path.relpath(path, common) for path in paths]


def _describe(name: str, run: rundir.RunDir, base: pathlib.Path) -> _Described:
    """Collect the contents of the page for one run from its directory."""
    config, spec = run.read()
    # Flat keys such as "model.hidden" are the words by which --config changes a config.
    plain = configuration.to_plain(config)
    flat = {key: configuration.value_at(plain, key) for key in configuration.keys(plain)}
    common = configuration.to_plain(_defaults())
    lines, timings = rundir.read_lines(run.metrics), _timings(rundir.read_lines(run.timings))
    versions = rundir.read_json(run.versions) or {}
    packages = {**versions.get("packages", {})}
    packages |= {key: versions.get(key) for key in ("python", "git", "dirty", "device", "devices")}
    if "compile_seconds" in versions:
        timings = {**timings, "compile_seconds": versions["compile_seconds"]}
    scores = _scores(run, config, lines)
    seconds = timings["seconds"]
    step = lines[-1]["step"] if lines else 0
    model = f"model {config.model.name} on {called(config.data)} {tuple(spec.shape)}"
    return _Described(
        name=name,
        summary=f"{model}: step {step:,} after {seconds / 60:.1f} minutes of training on {versions.get('device', '?')}",
        command=shlex.join(["python", f"scripts/{versions.get('script', 'train.py')}", *versions.get("flags", [])]),
        scores=scores,
        verdicts=_verdicts(name, config, scores, seconds),
        config=flat,
        changed=[key for key in flat if flat[key] != configuration.value_at(common, key)],
        versions=packages,
        timings=timings,
        pictures=[(path.stem, _data_uri(path)) for path in sorted(run.figures.glob("*.png"))],
        pages=[os.path.relpath(path, base) for path in sorted(run.figures.glob("*.html"))],
    )


def _defaults():
    configuration.make_configs_importable()
    return importlib.import_module("configs.common").start("")[0]


def _scores(run: rundir.RunDir, config: Any, lines: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Return every score at the newest evaluated step.

    Scores are those of the run itself and of `evaluate`, if it used all test examples of the run's own data.
    """
    params = "raw" if config.train.ema == 0 else "ema"
    same = {"data": called(config.data), "split": "test", "params": params, "limit": None}
    evaluations = rundir.read_lines(run.evaluations)
    alike = [line for line in evaluations if all(line.get(key) == value for key, value in same.items())]
    lines = [*(line for line in lines if line["split"] != "train"), *alike]
    newest = max((line["step"] for line in lines), default=0)
    found: dict[str, float] = {}
    # A later line replaces an earlier one: a metric evaluated again counts as it was last.
    for line in lines:
        if line["step"] == newest:
            found |= {key: value for key, value in line.items() if isinstance(value, float)}
    return found


_NOT_MEASURED = ("step", "window_seconds", "with_compilation")


def _timings(lines: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the seconds of training, and the median of every other measurement.

    Windows whose seconds include compilation are left out of the medians.
    """
    seconds = sum(line["window_seconds"] for line in lines)
    lines = [line for line in lines if not line.get("with_compilation")] or lines
    measured = dict.fromkeys(key for line in lines for key in line if key not in _NOT_MEASURED)
    medians = {key: statistics.median(line[key] for line in lines if key in line) for key in measured}
    named = {f"{key}, median": float(value) for key, value in medians.items()}
    return {"seconds": seconds, **named}


def _verdicts(name, config, scores, seconds):
    # A row may be compared with another row, so the stored rows are needed beside this run.
    stored = {**reproduce.read(), name: {"seconds": {"0": seconds}, "scores": {"0": scores}}}
    there = {key: entry for key, entry in config.expected.items() if key in scores}
    there = {key: entry for key, entry in there.items() if "row" not in entry or entry["row"] in stored}
    return verdicts.judge(name, config, there, stored)


def _with_error(scores, key):
    if key not in scores:
        return ""
    error = scores.get(f"{key}_se")
    return _number(scores[key]) + (f" ± {error:.2g}" if error is not None else "")


def _number(value: Any) -> str:
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def _data_uri(path: pathlib.Path) -> str:
    # Embedded pictures keep the page a single file.
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()
