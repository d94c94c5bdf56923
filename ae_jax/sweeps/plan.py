"""The runs that axes make of a config, and the compiled groups into which they fall.

Runs of a group share one compiled program. They may differ in numbers that are traced: seeds, and the numbers and
schedules of weights, objective, optimizer, corruption and model. They agree in everything that is fixed in tracing:
shapes, parts and data.
"""

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ml_collections import ConfigDict

from ae_jax.core import schedules
from ae_jax.core.errors import UserError
from ae_jax.data import splits
from ae_jax.experiments import checks, configuration, experiment
from ae_jax.sweeps.axes import Assignment

_LONGEST_NAME = 100  # in bytes, like the limits of file systems


@dataclasses.dataclass(frozen=True)
class Run:
    """One run of a sweep.

    Attributes:
      name: the name of its directory.
      axes: its values of the axes.
      config: its full config.
    """

    name: str
    axes: Assignment
    config: ConfigDict


@dataclasses.dataclass(frozen=True)
class Group:
    """A compiled group: runs that share one compiled program.

    Attributes:
      runs: the runs, whose configs differ only in what is traced.
    """

    runs: tuple[Run, ...]

    @property
    def name(self) -> str:
        """Return a digest of the names of the runs."""
        # Python's own hash differs between processes, and a group that is resumed must find its directory by this name.
        return hashlib.sha256("\n".join(run.name for run in self.runs).encode()).hexdigest()[:12]

    def parts(self, most: int) -> list["Group"]:
        """Split the group into parts of about equal size.

        Args:
          most: the largest number of runs in a part.
        """
        # The number of parts comes first. Parts of the largest size might leave a last one of a single run.
        count = -(-len(self.runs) // most)
        size = -(-len(self.runs) // count)
        return [Group(self.runs[start : start + size]) for start in range(0, len(self.runs), size)]


# --- runs -------------------------------------------------------------------------------------------------------------


def make_runs(
    base: ConfigDict, assignments: Iterable[Assignment], known: Mapping[str, Assignment] | None = None
) -> list[Run]:
    """Make the runs of a sweep.

    Args:
      base: the config that all runs share.
      assignments: the values of the axes, of one run each.
      known: {name: values of the axes} of the runs of earlier plans of this sweep, which keep their names.

    Raises:
      UserError: if a key is unknown, if a value is not valid, or if two runs have the same config.
    """
    names: dict[Any, str] = {}
    for name, axes in (known or {}).items():
        names[_identity(_config(base, axes), axes)] = name
    runs: list[Run] = []
    seen: dict[Any, Any] = {}
    for axes in assignments:
        config = _config(base, axes)
        checks.check(config)
        identity = _identity(config, axes)
        if identity in seen:
            raise UserError(f"the same run twice: {_spelled(seen[identity])} and {_spelled(axes)}\nleave one out")
        seen[identity] = axes
        # A long name is a number: that of the run among those of all plans of this sweep.
        number = len(names.keys() | seen.keys()) - 1
        runs.append(Run(names.get(identity) or _name(axes, number), axes, config))
    return runs


def _config(base: ConfigDict, axes: Assignment) -> ConfigDict:
    """Return a copy of a config with the values of the axes."""
    config = base.copy_and_resolve_references()
    configuration.override_all(config, axes.items())
    return config


def _identity(config: ConfigDict, axes: Assignment) -> tuple[Any, ...]:
    """Return the values that the axes set in a config, which are equal for equal configs."""
    # 1 and 1.0 are equal, though their texts differ.
    # An axis over one of the lengths of training clears the other.
    keys = sorted({*axes, "train.steps", "train.epochs"})
    return tuple((key, configuration.value_at(config, key)) for key in keys)


def _spelled(axes: Assignment) -> str:
    return ",".join(f"{key}={text}" for key, text in axes.items())


def _name(axes: Assignment, number: int) -> str:
    """Return the name of a run's directory: its axes, such as "weights.kl=1,seed=0".

    A name that is too long or not possible becomes the run's number and a digest of the axes.
    """
    name = _spelled(axes)
    # A slash would lead into another folder, and characters that do not print cannot be typed as a --workdir.
    if len(name.encode()) <= _LONGEST_NAME and "/" not in name and name.isprintable():
        return name
    return f"{number:04d}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


# --- compiled groups --------------------------------------------------------------------------------------------------


def fixed(config: ConfigDict) -> dict[str, Any]:
    """Return what of a config is fixed when its run is traced.

    Args:
      config: the config of a run.

    Returns:
      {dotted key: its value}. A number or schedule that is traced is "traced"; only a schedule of Optax is fixed. So is
      the seed, if the data depend on it.
    """
    found = {key: _hashable(configuration.value_at(config, key)) for key in configuration.keys(config)}
    for key, value in _numbers(experiment.numbers(config)):
        if key in found:
            found[key] = _fixed_part(value)
    # Without an average the state has no place for it, so 0 is another form than a positive number.
    found["train.ema"] = "off" if config.train.ema == 0 else _fixed_part(config.train.ema)
    if not splits.depend_on_seed(config):
        found["seed"] = "traced"
    return found


def _fixed_part(value: float | str) -> str:
    return schedules.fixed_part(value) or "traced"


def _numbers(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (dotted key, value) for every leaf of nested mappings."""
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _numbers(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _hashable(value: Any) -> Any:
    """Return a value with tuples in place of its lists."""
    return tuple(map(_hashable, value)) if isinstance(value, tuple | list) else value


def group_key(config: ConfigDict) -> str:
    """Return a text that is the same for all configs of a compiled group, and for no others.

    Args:
      config: the config of a run.
    """
    return json.dumps(fixed(config), sort_keys=True)


def group_runs(runs: Sequence[Run]) -> list[Group]:
    """Return the compiled groups of runs, in the order of their first runs.

    Args:
      runs: the runs of a sweep.
    """
    groups: dict[Any, list[Run]] = {}
    for run in runs:
        groups.setdefault(group_key(run.config), []).append(run)
    return [Group(tuple(members)) for members in groups.values()]


# --- the printed plan -------------------------------------------------------------------------------------------------


def describe_runs(runs: Sequence[Run], groups: Sequence[Group]) -> str:
    """Describe a plan: the numbers of runs and groups, and which axes are traced.

    Args:
      runs: the runs of a sweep.
      groups: their compiled groups, which the text calls programs.
    """
    keys = list(dict.fromkeys(key for run in runs for key in run.axes))
    forms = [fixed(run.config) for run in runs]
    traced, splitting = [], []
    for key in keys:
        values = [_hashable(configuration.value_at(run.config, key)) for run in runs]
        # Where a value itself is fixed, its form is the value.
        if any(form.get(key) != value for form, value in zip(forms, values)):
            traced.append(key)
        kinds = list(dict.fromkeys(str(form.get(key)) for form in forms))
        if len(kinds) > 1:
            splitting.append(f"{key} ({', '.join(kinds)})")
    return (
        f"{_count(len(runs), 'run')} in {_count(len(groups), 'program')}\n"
        f"  traced, so that it varies inside a program: {', '.join(traced) or 'nothing'}\n"
        f"  fixed, so that it splits programs: {', '.join(splitting) or 'nothing'}"
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
