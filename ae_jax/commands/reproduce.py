"""Rows of the results table: configs with an expected value, what was obtained, and the verdict.

A row is a config with an `expected` section: `configs/NAME.py`, or one for each entry of its `rows()`, {row: argument}.
`benchmarks/results.json` holds what full-length runs obtained. The README's table is rendered from it.

    expected.METRIC = dict(value=0.0914, source="...")                         a number that somebody obtained
    expected.METRIC = dict(row="aae_plain", times=0.05, source="...")          a multiple of what another row obtained
    expected.METRIC = dict(metric="baseline_psnr_db", plus=4.0, source="...")  a margin above another metric of the run

`paper` is the paper's own number, shown beside ours in that paper's table. With judged=False the expected value is
shown and decides nothing, for example when it is from a longer training. A result that is better by more than
`suspicious` is flagged, because then something else was probably measured. By default `suspicious` is a tenth of a
`value` that has no `tolerance` of its own.

A config may define `tables()`, {name: dict(metrics=(METRIC, ...), lines={line: {column: row}})}, to show rows in the
layout of a paper.
"""

import dataclasses
import hashlib
import importlib
import json
import math
import pathlib
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from ae_jax.core import errors, lookup
from ae_jax.core.errors import UserError
from ae_jax.devices import report
from ae_jax.experiments import configuration, rundir, trusted

RESULTS = configuration.ROOT / "benchmarks" / "results.json"
TOLERANCE = 0.015
_SUSPICIOUS = 0.1
# These keys do not change a result: where the data are on this machine, and how a run is logged and distributed.
_NOT_HASHED: tuple[str, ...] = ("data.source", *configuration.PLACES, "train.log_every", "train.eval_every")
_NOT_HASHED += ("train.checkpoint_every", "train.keep", "data.stream", "mesh.", "expected.", "seed")


@dataclasses.dataclass(frozen=True)
class Row:
    """A config file and its argument, from which one published number or more can be reproduced."""

    name: str
    config: str  # "configs/NAME.py:argument"


def _configs() -> list[Any]:
    """Import the modules of all configs, in alphabetical order."""
    configuration.make_configs_importable()
    return [importlib.import_module(f"configs.{name}") for name in configuration.config_names()]


def rows() -> dict[str, Row]:
    """Return all rows by name, in the order of their configs."""
    found: dict[str, Row] = {}
    for module in _configs():
        file = module.__name__.replace(".", "/") + ".py"
        if hasattr(module, "rows"):
            found |= {name: Row(name, f"{file}:{arg}") for name, arg in module.rows().items()}
    return found


def tables() -> dict[str, Any]:
    """Return all tables by name."""
    modules = [module for module in _configs() if hasattr(module, "tables")]
    return {name: table for module in modules for name, table in module.tables().items()}


def groups() -> dict[str, list[str]]:
    """Return {group: its rows}. Groups are tables, and configs whose name is not the name of a row."""
    there = rows()
    found: dict[str, list[str]] = {}
    for row in there.values():
        found.setdefault(pathlib.Path(row.config.partition(":")[0]).stem, []).append(row.name)
    found |= {
        name: [row for line in table["lines"].values() for row in line.values()] for name, table in tables().items()
    }
    return {name: list(dict.fromkeys(members)) for name, members in found.items() if name not in there}


def select(names: list[str]) -> list[Row]:
    """Return the rows of these names and groups, each after the rows that it is compared with.

    Args:
      names: names of rows or groups.

    Raises:
      UserError: for an unknown name.
    """
    there = rows()
    chosen: dict[str, Row] = {}
    all_groups = groups()
    for name in names:
        if name not in there and name not in all_groups:
            raise errors.unknown("row", name, {**there, **all_groups})
        for row in [there[one] for one in all_groups.get(name, [name])]:
            others = [
                expected["row"] for expected in configuration.load(row.config).expected.values() if "row" in expected
            ]
            chosen |= {other: there[other] for other in others} | {row.name: row}
    return list(chosen.values())


def config_hash(config: Any) -> str:
    """Return eight hex digits that identify everything in a config that decides the result, except the seed.

    Keys that are switched off (None, False, "") are left out, so that a new option leaves older results valid.
    """
    plain = configuration.to_plain(config)
    decisive = {
        key: configuration.value_at(plain, key) for key in configuration.keys(plain) if not key.startswith(_NOT_HASHED)
    }
    decisive = {key: value for key, value in decisive.items() if value not in (None, False, "")}
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:8]


def seeds(row: Row, count: int) -> range:
    """Return `count` seeds, starting with the config's own."""
    first = configuration.load(row.config).seed
    return range(first, first + count)


def run(row: Row, folder: pathlib.Path, seed: int | None = None, trust: Sequence[str] = ()) -> dict[str, Any]:
    """Train a row, and first the row that it starts from, or resume it.

    Args:
      row: the row.
      folder: the folder that receives one run directory for each row and seed.
      seed: the seed; by default the config's own.
      trust: as in `runner.train_run`.

    Returns:
      The record: config, hash, seconds of training, device, and the scores.
    """
    from ae_jax.experiments import analysis, runner

    config = configuration.load(row.config)
    seed = config.seed if seed is None else seed
    with config.unlocked():
        config.seed = seed
        if config.train.init_from:
            parent = select([config.train.init_from])[0]
            run(parent, folder, seed, trust)
            config.train.init_from = str(_place(folder, parent, seed))
    workdir = _place(folder, row, seed)
    runner.train_run(config, str(workdir), trust=trust)
    with analysis.on_all_devices(str(workdir)):
        trained = analysis.load(str(workdir), trust=(*trust, *trusted.modules(config)))
        scores = analysis.evaluate(trained.experiment, trained.variables, config.eval.metrics, trained.data)
    seconds = sum(line["window_seconds"] for line in rundir.read_lines(trained.run.timings))
    return {"config": row.config, "hash": config_hash(configuration.load(row.config)), "seconds": round(seconds, 1),
            "device": device(), "scores": scores}  # fmt: skip


def _place(folder: pathlib.Path, row: Row, seed: int) -> pathlib.Path:
    return folder / (row.name if seed in seeds(row, 1) else f"{row.name},seed={seed}")


def device() -> str:
    """Describe the devices: their kind and number; for a CPU, how many cores this process may use."""
    import jax

    kind = jax.devices()[0]
    if kind.platform != "cpu":
        return f"{jax.device_count()} x {kind.device_kind}" if jax.device_count() > 1 else kind.device_kind
    cores = report.cores()
    return f"{cores} CPU core{'s' * (cores > 1)}"


def record(row: Row, by_seed: Mapping[int, Mapping[str, Any]], results: pathlib.Path = RESULTS) -> dict[str, Any]:
    """Write what the seeds of a row obtained into the results file.

    Results of other seeds are kept if they are of the same config, device and scores.

    Args:
      row: the row.
      by_seed: {seed: record} as `run` returns it.
      results: the results file.

    Returns:
      The whole content of the file, {row: entry}.
    """
    stored, first = read(results), next(iter(by_seed.values()))
    entry = {key: first[key] for key in ("config", "hash", "device")}
    before = stored.get(row.name, {})
    alike = all(before.get(key) == value for key, value in entry.items())
    alike = alike and all(scores.keys() == first["scores"].keys() for scores in before["scores"].values())
    for key in ("seconds", "scores"):
        others = before[key] if alike else {}
        entry[key] = {**others, **{str(seed): one[key] for seed, one in by_seed.items()}}
    stored[row.name] = entry
    rundir.write_json(results, stored)
    return stored


def read(results: pathlib.Path = RESULTS) -> dict[str, Any]:
    """Return {row: entry} of every row that was run."""
    return json.loads(results.read_text()) if results.exists() else {}


@dataclasses.dataclass(frozen=True)
class Line:
    """One line of the table: a metric of a row."""

    row: str
    metric: str
    expected: float
    obtained: float
    spread: float  # standard deviation over seeds; NaN for one seed
    floor: float  # METRIC_floor, below which no model gets; NaN where none is known
    verdict: str
    source: str
    seconds: float

    @property
    def passed(self) -> bool:
        """Return whether the row is not outside its tolerance."""
        return self.verdict in ("meets it", "better", "not judged")


def lines(row: Row, stored: Mapping[str, Any]) -> list[Line]:
    """Return the table lines of a row: each expected metric beside what was obtained, with its verdict.

    Args:
      row: the row.
      stored: {row: entry}, with this row and the rows that it is compared with.

    Raises:
      UserError: if a row that this one is compared with was not run.
    """
    config = configuration.load(row.config)
    return judge(row.name, config, config.expected, stored)


def judge(name: str, config: Any, expectations: Mapping[str, Any], stored: Mapping[str, Any]) -> list[Line]:
    """Return the table lines of a row or run for some of the config's `expected` metrics.

    The verdict is one-sided: a better result passes.

    Args:
      name: the name of the row or run in `stored`.
      config: its config, whose eval.metrics say which direction is better.
      expectations: {metric: expected}.
      stored: {row: entry}.

    Raises:
      UserError: for a metric that none of eval.metrics computes, or a row that was not run.
    """
    entry, answered = stored[name], []
    modules = [lookup.module("metrics", name) for name in config.eval.metrics]
    better = {key: direction for module in modules for key, direction in module.BETTER.items()}
    seconds = sum(entry["seconds"].values()) / len(entry["seconds"])
    for metric, expected in expectations.items():
        if metric not in better:
            raise UserError(f"{name} expects {metric!r}, which none of its eval.metrics answers")
        mean, spread = of_seeds(name, metric, stored)
        value = _expected_value(name, metric, expected, stored)
        tolerance = expected.get("tolerance", TOLERANCE * abs(value))
        is_result = "value" in expected and "tolerance" not in expected
        suspicious = expected.get("suspicious", _SUSPICIOUS * abs(value) if is_result else math.inf)
        gain = (mean - value) * (1 if better[metric] == "max" else -1)
        verdict = _verdict(gain, tolerance, suspicious) if expected.get("judged", True) else "not judged"
        floor = statistics.fmean(scores.get(f"{metric}_floor", math.nan) for scores in entry["scores"].values())
        answered.append(Line(name, metric, value, mean, spread, floor, verdict, expected["source"], seconds))
    return answered


def _verdict(gain: float, tolerance: float, suspicious: float) -> str:
    if gain > suspicious:
        return "suspicious: check binarisation and normalisation"
    if gain > tolerance:
        return "better"
    return "meets it" if gain >= -tolerance else "misses"


def _expected_value(name: str, metric: str, expected: Mapping[str, Any], stored: Mapping[str, Any]) -> float:
    if "value" in expected:
        return expected["value"]
    if (other := expected.get("row", name)) not in stored:
        raise UserError(f"row {name!r} is compared with {other!r}, which was not run\ntry: reproduce.py {other}")
    mean, _ = of_seeds(other, expected.get("metric", metric), stored)
    return expected.get("times", 1.0) * mean + expected.get("plus", 0.0)


def of_seeds(row: str, metric: str, stored: Mapping[str, Any]) -> tuple[float, float]:
    """Return the mean and the standard deviation of a metric over the seeds of a row.

    Args:
      row: the name of the row.
      metric: the metric.
      stored: {row: entry}.

    Returns:
      (mean, standard deviation); the latter is NaN for a single seed.

    Raises:
      UserError: if the row was run without that metric.
    """
    found = stored[row]["scores"].values()
    if not all(metric in scores for scores in found):
        raise UserError(f"row {row!r} was run when it had no {metric}\ntry: reproduce.py {row}")
    values = [scores[metric] for scores in found]
    return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else math.nan
