"""Rows: configs with an expected value, what was obtained, and the verdict.

A row is a config with an `expected` section: `configs/NAME.py`, or one for each entry of its `rows()`, {row: argument}.
What full-length runs obtain stands in `benchmarks/results.json`, from which the README's table is made.
"""

import dataclasses
import hashlib
import importlib
import json
import math
import pathlib
import sys
from collections.abc import Mapping
from typing import Any

from ae_jax import configuration, errors, lookup, rundir
from ae_jax.errors import UserError

RESULTS = configuration.ROOT / "benchmarks" / "results.json"
TOLERANCE = 0.015
# Where the data lie, and how a run is watched, is not part of what was run.
_NOT_HASHED = ("data.source", "data.dir", "data.path", "data.cache", "train.log_every", "train.eval_every")
_NOT_HASHED += ("train.checkpoint_every", "train.keep", "expected.", "seed")


@dataclasses.dataclass(frozen=True)
class Row:
    """One reproducible number or more: a config file and its argument."""

    name: str
    config: str  # "configs/NAME.py:argument"


def rows() -> dict[str, Row]:
    """All rows, by name, in alphabetical order of their configs."""
    if str(configuration.ROOT) not in sys.path:
        sys.path.append(str(configuration.ROOT))
    found = {}
    for path in sorted((configuration.ROOT / "configs").glob("[a-z]*.py")):
        module = importlib.import_module(f"configs.{path.stem}")
        if hasattr(module, "rows"):
            found |= {name: Row(name, f"configs/{path.name}:{arg}") for name, arg in module.rows().items()}
    return found


def select(names: list[str]) -> list[Row]:
    """The rows of these names; a config's own name stands for all its rows. Raises UserError for an unknown one."""
    there, chosen = rows(), {}
    for name in names:
        config = f"configs/{name}.py:"
        group = {row.name: row for row in there.values() if row.name == name or row.config.startswith(config)}
        if not group:
            raise errors.unknown("row", name, there)
        chosen |= group
    return list(chosen.values())


def config_hash(config: Any) -> str:
    """Eight hex digits over all that decides the result but the seed.

    What is switched off (None, False, "") is left out, so that a new option leaves the old results valid.
    """
    plain = configuration.to_plain(config)
    decisive = {key: _at(plain, key) for key in configuration.keys(plain) if not key.startswith(_NOT_HASHED)}
    decisive = {key: value for key, value in decisive.items() if value not in (None, False, "")}
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:8]


def _at(plain, key):
    for part in key.split("."):
        plain = plain[part]
    return plain


def run(row: Row, folder: pathlib.Path, seed: int = 0) -> dict[str, Any]:
    """Trains the row (and first what it starts from) below `folder`, or goes on with it; answers its record."""
    from ae_jax import analysis, runner

    config = configuration.load(row.config)
    with config.unlocked():
        config.seed = seed
        if config.train.init_from:
            parent = select([config.train.init_from])[0]
            run(parent, folder, seed)
            config.train.init_from = str(_place(folder, parent, seed))
    workdir = _place(folder, row, seed)
    runner.train_run(config, str(workdir))
    trained = analysis.load(str(workdir))
    scores = analysis.evaluate(trained.experiment, trained.variables, config.eval.metrics, trained.data)
    seconds = sum(line["window_seconds"] for line in rundir.read_lines(trained.run.timings))
    return {"config": row.config, "hash": config_hash(configuration.load(row.config)), "seconds": round(seconds, 1),
            "device": device(), "scores": scores}  # fmt: skip


def _place(folder: pathlib.Path, row: Row, seed: int) -> pathlib.Path:
    return folder / (f"{row.name},seed={seed}" if seed else row.name)


def device() -> str:
    """The device and, of a CPU, how many cores there are."""
    import os

    import jax

    kind = jax.devices()[0]
    return f"{os.cpu_count()} CPU cores" if kind.platform == "cpu" else kind.device_kind


def record(row: Row, by_seed: Mapping[int, Mapping[str, Any]], results: pathlib.Path = RESULTS) -> dict[str, Any]:
    """Writes what the seeds of a row obtained into the results file; answers the entry."""
    first = next(iter(by_seed.values()))
    entry = {key: first[key] for key in ("config", "hash", "device")}
    entry["seconds"] = {str(seed): one["seconds"] for seed, one in by_seed.items()}
    entry["scores"] = {str(seed): one["scores"] for seed, one in by_seed.items()}
    stored = json.loads(results.read_text()) if results.exists() else {}
    rundir.write_json(results, {**stored, row.name: entry})
    return entry


@dataclasses.dataclass(frozen=True)
class Line:
    """One line of the table: a metric of a row."""

    row: str
    metric: str
    expected: float
    obtained: float
    spread: float  # standard deviation over seeds, nan for one
    verdict: str
    source: str
    seconds: float

    @property
    def passed(self) -> bool:
        return self.verdict in ("meets it", "better")


def lines(row: Row, entry: Mapping[str, Any]) -> list[Line]:
    """The lines of a row: each expected metric against what was obtained, its verdict one-sided (better passes)."""
    config, answered = configuration.load(row.config), []
    modules = [lookup.module("evaluation", name) for name in config.eval.metrics]
    better = {key: direction for module in modules for key, direction in module.BETTER.items()}
    seconds = sum(entry["seconds"].values()) / len(entry["seconds"])
    for metric, expected in config.expected.items():
        if metric not in better:
            raise UserError(f"{row.config} expects {metric!r}, which none of its eval.metrics answers")
        values = [scores[metric] for scores in entry["scores"].values()]
        mean = sum(values) / len(values)
        spread = math.sqrt(sum((v - mean) ** 2 for v in values) / (len(values) - 1)) if len(values) > 1 else math.nan
        tolerance = expected.get("tolerance", TOLERANCE * abs(expected["value"]))
        gain = (mean - expected["value"]) * (1 if better[metric] == "max" else -1)
        verdict = "better" if gain > tolerance else "meets it" if gain >= -tolerance else "misses"
        if gain > expected.get("suspicious", math.inf):
            verdict = "suspicious: check binarisation and normalisation"
        answered.append(Line(row.name, metric, expected["value"], mean, spread, verdict, expected["source"], seconds))
    return answered


def table(all_lines: list[Line], markdown: bool = False) -> str:
    """The lines as a table, in text or in Markdown."""
    head = ("row", "metric", "expected", "obtained", "difference", "verdict", "minutes", "expected from")
    body = [
        (
            line.row,
            line.metric,
            f"{line.expected:.4g}",
            f"{line.obtained:.4g}" + ("" if math.isnan(line.spread) else f" ± {line.spread:.2g}"),
            f"{line.obtained - line.expected:+.2g}",
            line.verdict,
            f"{line.seconds / 60:.1f}",
            line.source,
        )
        for line in all_lines
    ]
    if markdown:
        rule = tuple("---" for _ in head)
        return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, rule, *body))
    widths = [max(map(len, column)) for column in zip(head, *body)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(cells, widths)) for cells in (head, *body))
