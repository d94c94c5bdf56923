"""The plan of a sweep: which runs the axes make of a config, and which of them are one compiled program.

Runs share a program where nothing that is fixed in tracing tells them apart: their seeds, weights, schedules' numbers,
optimiser's and corruption's numbers may differ, their shapes, parts and data may not.
"""

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ml_collections import ConfigDict

from ae_jax.core import schedules
from ae_jax.core.errors import UserError
from ae_jax.data import splits
from ae_jax.experiments import configuration, experiment, ranges
from ae_jax.sweeps.axes import Assignment

MOST_RUNS = 10_000
_LONGEST_NAME = 100  # bytes, by which file systems measure


@dataclasses.dataclass(frozen=True)
class Run:
    """One config of a sweep, under the name of its directory."""

    name: str
    axes: Assignment
    config: ConfigDict


@dataclasses.dataclass(frozen=True)
class Program:
    """Runs that differ only in what is traced."""

    runs: tuple[Run, ...]

    @property
    def name(self) -> str:
        """A digest of the runs' names."""
        return hashlib.sha256("\n".join(run.name for run in self.runs).encode()).hexdigest()[:12]

    def parts(self, most: int) -> list["Program"]:
        """The program in parts of about equal size, of at most so many runs."""
        size = -(-len(self.runs) // -(-len(self.runs) // most))
        return [Program(self.runs[start : start + size]) for start in range(0, len(self.runs), size)]


def make_runs(
    base: ConfigDict, assignments: Iterable[Assignment], known: Mapping[str, Assignment] | None = None
) -> list[Run]:
    """The runs of a config with these keys set. `known`, {name: assignment}, are those of earlier plans of this sweep:
    they keep their names.

    Raises UserError for an unknown key, a value that does not fit, and for two runs of the same config.
    """
    known = {_identity(_config(base, axes), axes): name for name, axes in (known or {}).items()}
    runs, seen = [], {}
    for axes in assignments:
        config = _config(base, axes)
        ranges.check(config)
        identity = _identity(config, axes)
        if identity in seen:
            raise UserError(f"the same run twice: {_spelled(seen[identity])} and {_spelled(axes)}\nleave one out")
        seen[identity] = axes
        runs.append(Run(known.get(identity) or _name(axes, len(known.keys() | seen.keys()) - 1), axes, config))
    return runs


def _config(base: ConfigDict, axes: Assignment) -> ConfigDict:
    config = base.copy_and_resolve_references()
    configuration.override_all(config, axes.items())
    return config


def _identity(config: ConfigDict, axes: Assignment) -> tuple[Any, ...]:
    """What the axes make of the config: equal for equal configs, as 1 and 1.0 are."""
    return tuple((key, configuration.value_at(config, key)) for key in sorted({*axes, "train.steps", "train.epochs"}))


def _spelled(axes: Assignment) -> str:
    return ",".join(f"{key}={text}" for key, text in axes.items())


def _name(axes: Assignment, number: int) -> str:
    """ "weights.kl=1,seed=0"; a number and a digest where that is too long for a directory, or is a path itself."""
    name = _spelled(axes)
    if len(name.encode()) <= _LONGEST_NAME and "/" not in name and name.isprintable():
        return name
    return f"{number:04d}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def fixed(config: ConfigDict) -> dict[str, Any]:
    """{dotted key: what of its value is fixed when the run is traced}: the value itself, but of what is traced only
    its form, as "number" or "linear"; of the seed nothing, unless the data depend on it.
    """
    found = {key: _hashable(configuration.value_at(config, key)) for key in configuration.keys(config)}
    found |= {key: schedules.form(value) for key, value in _numbers(experiment.numbers(config)) if key in found}
    found["train.ema"] = "off" if config.train.ema == 0 else schedules.form(config.train.ema)
    return found if splits.depend_on_seed(config) else {**found, "seed": "any"}


def _numbers(tree: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _numbers(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _hashable(value: Any) -> Any:
    return tuple(map(_hashable, value)) if isinstance(value, tuple | list) else value


def program_of(config: ConfigDict) -> str:
    """A text that is the same for the configs of one program, and no others."""
    return json.dumps(fixed(config), sort_keys=True)


def group(runs: Sequence[Run]) -> list[Program]:
    """The programs, in the order of their first runs."""
    programs = {}
    for run in runs:
        programs.setdefault(program_of(run.config), []).append(run)
    return [Program(tuple(members)) for members in programs.values()]


def describe_runs(runs: Sequence[Run], programs: Sequence[Program]) -> str:
    """How many runs and programs, which axes are traced, and which split programs."""
    forms = [fixed(run.config) for run in runs]
    keys = list(dict.fromkeys(key for run in runs for key in run.axes))
    kinds = {key: list(dict.fromkeys(str(form.get(key)) for form in forms)) for key in keys}
    own = lambda run, key: _hashable(configuration.value_at(run.config, key))
    traced = [key for key in keys if any(form.get(key) != own(run, key) for run, form in zip(runs, forms))]
    splitting = [f"{key} ({', '.join(kinds[key])})" for key in keys if len(kinds[key]) > 1]
    return (
        f"{_count(len(runs), 'run')} in {_count(len(programs), 'program')}\n"
        f"  traced, so that it varies inside a program: {', '.join(traced) or 'nothing'}\n"
        f"  fixed, so that it splits programs: {', '.join(splitting) or 'nothing'}"
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
