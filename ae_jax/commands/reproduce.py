"""Rows of the results table: configs with published values, and what was obtained.

A row is a config with an `expected` or a `regression` section: `configs/NAME.py`, or one for each entry of its
`rows()`, {row: argument}. `benchmarks/results.json` holds the results of full-length runs, and `docs/results.md` shows
them.

    expected.METRIC = dict(value=0.0622, source="...")                         a number that somebody else published
    expected.METRIC = dict(row="aae_plain", source="...")                      what another row obtained
    expected.METRIC = dict(metric="baseline_psnr_db", source="...")            another metric of the same run
    regression.METRIC = dict(value=0.0915, sd=0.0001, seeds=3)                 our own earlier value

`ae_jax.commands.verdicts` has the rules by which they are judged. `paper` is the paper's own number, which is shown
beside ours in that paper's table. With judged=False a value is shown and decides nothing, for example when it is from a
longer training, or could not be confirmed at its source.

A config that holds out validation examples and has an `eval.criterion` reports its best checkpoint by that criterion;
all other configs report the last one.

A config may define `tables()`, {name: dict(metrics=(METRIC, ...), lines={line: {column: row}})}, to show rows in the
layout of a paper.
"""

import dataclasses
import hashlib
import importlib
import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from ae_jax.core import errors, lookup
from ae_jax.devices import report
from ae_jax.experiments import configuration, rundir, trusted

RESULTS = configuration.ROOT / "benchmarks" / "results.json"
# These keys do not change a result: where the data are on this machine, and how a run is logged and distributed.
_NOT_HASHED: tuple[str, ...] = ("data.source", *configuration.PLACES, "train.log_every", "train.eval_every")
_NOT_HASHED += ("train.checkpoint_every", "train.keep", "data.stream", "mesh.", "expected.", "regression.", "seed")
# Values by which a key that came later leaves everything as it was before.
_NEUTRAL = {"data.scale": "none"}


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
    """Return {group: its rows}. Groups are tables, and configs whose name is not that of a row."""
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
    """Return eight hex digits of everything in a config that decides the result but the seed.

    Keys that are switched off (None, False, "", "none") are left out, so that a new option leaves older results valid.
    A number that is 0 is a value like any other. A metric or a data source whose rules changed has a constant PROTOCOL,
    the number of its present rules, which is part of the digits.
    """
    plain = configuration.to_plain(config)
    decisive = {
        key: configuration.value_at(plain, key) for key in configuration.keys(plain) if not key.startswith(_NOT_HASHED)
    }
    decisive = {key: value for key, value in decisive.items() if not _is_off(value) and _NEUTRAL.get(key) != value}
    decisive |= _protocols(config)
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:8]


def _is_off(value: Any) -> bool:
    """Return whether a value is as good as an absent key; 0 equals False, and is not off."""
    return value is None or value is False or value in ("", "none")


def _protocols(config: Any) -> dict[str, int]:
    """Return {"KIND.NAME": number} of the metrics and the source that have changed their rules."""
    named = [("metrics", name) for name in metrics_of(config)]
    if ":" not in config.data.source:
        named.append(("sources", config.data.source))
    numbers = {f"{kind}.{name}": getattr(lookup.module(kind, name), "PROTOCOL", 1) for kind, name in named}
    return {name: number for name, number in numbers.items() if number > 1}


def metrics_of(config: Any) -> tuple[str, ...]:
    """Return a row's eval.metrics, and those of expected scores that are too slow for training."""
    names = tuple(config.eval.metrics)
    scores = {key for name in names for key in lookup.module("metrics", name).BETTER}
    missing = [key for key in config.expected if key not in scores]
    further = [name for name in lookup.choices("metrics") if set(missing) & set(lookup.module("metrics", name).BETTER)]
    return (*names, *(name for name in further if name not in names))


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
        checkpoint = "best" if config.data.validation and config.eval.criterion else "newest"
        trained = analysis.load(str(workdir), checkpoint=checkpoint, trust=(*trust, *trusted.modules(config)))
        scores = analysis.evaluate(trained.experiment, trained.variables, metrics_of(config), trained.data)
    seconds = sum(line["window_seconds"] for line in rundir.read_lines(trained.run.timings))
    # The hash is of the config as its file has it, because train.init_from is now a path on this machine.
    return {"config": row.config, "hash": config_hash(configuration.load(row.config)), "seconds": round(seconds, 1),
            "device": device(), "scores": scores}  # fmt: skip


def _place(folder: pathlib.Path, row: Row, seed: int) -> pathlib.Path:
    return folder / (row.name if seed in seeds(row, 1) else f"{row.name},seed={seed}")


def device() -> str:
    """Describe the devices: their kind and number, and of a CPU the usable cores."""
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
