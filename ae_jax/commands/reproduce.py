"""Rows: configs with an expected value, what was obtained, and the verdict.

A row is a config with an `expected` section: `configs/NAME.py`, or one for each entry of its `rows()`, {row: argument}.
What full-length runs obtain stands in `benchmarks/results.json`, from which the README's table is made.

    expected.METRIC = dict(value=0.0914, source="...")                             a number that somebody obtained
    expected.METRIC = dict(row="aae_plain", times=0.05, source="...")              times what another row obtained
    expected.METRIC = dict(metric="baseline_psnr_db", plus=4.0, source="...")  so much above its own other metric

With `paper` a paper's own number stands beside it in that paper's table. With judged=False it stands beside what is
obtained and decides nothing, as that of a longer training. Better by more than `suspicious` is not believed: something
else was measured; by default that is a tenth of a `value` that has no `tolerance` of its own.

A config may have `tables()`, {name: dict(metrics=(METRIC, ...), lines={line: {column: row}})}, which show rows as a
paper does.
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
# Where the data lie, and how a run is watched, is not part of what was run.
_NOT_HASHED: tuple[str, ...] = ("data.source", *configuration.PLACES, "train.log_every", "train.eval_every")
_NOT_HASHED += ("train.checkpoint_every", "train.keep", "data.stream", "mesh.", "expected.", "seed")


@dataclasses.dataclass(frozen=True)
class Row:
    """One reproducible number or more: a config file and its argument."""

    name: str
    config: str  # "configs/NAME.py:argument"


def _configs() -> list[Any]:
    """The modules of all configs, in alphabetical order."""
    configuration.make_configs_importable()
    return [importlib.import_module(f"configs.{name}") for name in configuration.config_names()]


def rows() -> dict[str, Row]:
    """All rows, by name, in the order of their configs."""
    found: dict[str, Row] = {}
    for module in _configs():
        file = module.__name__.replace(".", "/") + ".py"
        if hasattr(module, "rows"):
            found |= {name: Row(name, f"{file}:{arg}") for name, arg in module.rows().items()}
    return found


def tables() -> dict[str, Any]:
    """All tables, by name."""
    modules = [module for module in _configs() if hasattr(module, "tables")]
    return {name: table for module in modules for name, table in module.tables().items()}


def groups() -> dict[str, list[str]]:
    """{name: the rows it stands for}: tables, and configs of which no row has the name."""
    there = rows()
    found: dict[str, list[str]] = {}
    for row in there.values():
        found.setdefault(pathlib.Path(row.config.partition(":")[0]).stem, []).append(row.name)
    found |= {
        name: [row for line in table["lines"].values() for row in line.values()] for name, table in tables().items()
    }
    return {name: list(dict.fromkeys(members)) for name, members in found.items() if name not in there}


def select(names: list[str]) -> list[Row]:
    """The rows of these names, or of the groups, each after those that it is compared with.

    Raises UserError for an unknown one.
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
    """Eight hex digits over all that decides the result but the seed.

    What is switched off (None, False, "") is left out, so that a new option leaves the old results valid.
    """
    plain = configuration.to_plain(config)
    decisive = {
        key: configuration.value_at(plain, key) for key in configuration.keys(plain) if not key.startswith(_NOT_HASHED)
    }
    decisive = {key: value for key, value in decisive.items() if value not in (None, False, "")}
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:8]


def seeds(row: Row, count: int) -> range:
    """So many seeds from the config's own."""
    first = configuration.load(row.config).seed
    return range(first, first + count)


def run(row: Row, folder: pathlib.Path, seed: int | None = None, trust: Sequence[str] = ()) -> dict[str, Any]:
    """Trains the row (and first what it starts from) below `folder`, or goes on with it; answers its record.

    seed: by default the config's own. trust: as in `runner.train_run`.
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
    """The kind of the devices and how many, if several; of a CPU, how many cores this process may use."""
    import jax

    kind = jax.devices()[0]
    if kind.platform != "cpu":
        return f"{jax.device_count()} x {kind.device_kind}" if jax.device_count() > 1 else kind.device_kind
    cores = report.cores()
    return f"{cores} CPU core{'s' * (cores > 1)}"


def record(row: Row, by_seed: Mapping[int, Mapping[str, Any]], results: pathlib.Path = RESULTS) -> dict[str, Any]:
    """Writes what the seeds of a row obtained into the results file, beside other seeds of the same config, on the same
    device and with the same scores; answers all that stands there: {row: entry}.
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
    """{row: entry} of all that was run."""
    return json.loads(results.read_text()) if results.exists() else {}


@dataclasses.dataclass(frozen=True)
class Line:
    """One line of the table: a metric of a row."""

    row: str
    metric: str
    expected: float
    obtained: float
    spread: float  # standard deviation over seeds, nan for one
    floor: float  # what no model gets below, METRIC_floor; nan where none is known
    verdict: str
    source: str
    seconds: float

    @property
    def passed(self) -> bool:
        return self.verdict in ("meets it", "better", "not judged")


def lines(row: Row, stored: Mapping[str, Any]) -> list[Line]:
    """The lines of a row: each expected metric against what was obtained, its verdict one-sided (better passes).

    stored: {row: entry}, with this row and those that it is compared with. Raises UserError where one is missing.
    """
    config = configuration.load(row.config)
    return judge(row.name, config, config.expected, stored)


def judge(name: str, config: Any, expectations: Mapping[str, Any], stored: Mapping[str, Any]) -> list[Line]:
    """The lines of the row, or run, of this name in `stored`, for these of the config's `expected` metrics."""
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
    return "better" if gain > tolerance else "meets it" if gain >= -tolerance else "misses"


def _expected_value(name: str, metric: str, expected: Mapping[str, Any], stored: Mapping[str, Any]) -> float:
    if "value" in expected:
        return expected["value"]
    if (other := expected.get("row", name)) not in stored:
        raise UserError(f"row {name!r} is compared with {other!r}, which was not run\ntry: reproduce.py {other}")
    mean, _ = of_seeds(other, expected.get("metric", metric), stored)
    return expected.get("times", 1.0) * mean + expected.get("plus", 0.0)


def of_seeds(row: str, metric: str, stored: Mapping[str, Any]) -> tuple[float, float]:
    """The mean and the standard deviation, nan of one, of a metric over the seeds of a row.

    Raises UserError where it was run without that metric.
    """
    found = stored[row]["scores"].values()
    if not all(metric in scores for scores in found):
        raise UserError(f"row {row!r} was run when it had no {metric}\ntry: reproduce.py {row}")
    values = [scores[metric] for scores in found]
    return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else math.nan
