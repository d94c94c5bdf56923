"""A sweep's directory: the names of its files, and how a sweep is begun, extended and read."""

import contextlib
import dataclasses
import json
import os
import pathlib
import shutil
from collections.abc import Mapping, Sequence
from typing import Any

from ae_jax.core import errors
from ae_jax.core.errors import UserError
from ae_jax.experiments import configuration, rundir
from ae_jax.sweeps.axes import Assignment

ENDED = ("done", "failed", "pruned")  # the statuses of runs that are not trained again
# {key: its type}, what every result.json has.
_RESULT: dict[str, Any] = {
    **{"status": str, "reason": str, "seconds": (int, float)},
    **dict.fromkeys(("final", "best"), dict),
}
_GROUP = "program.json"  # the file of a compiled group in training: {"runs": names, "way": way}


@dataclasses.dataclass(frozen=True)
class SweepDir:
    """The paths of a sweep.

    Each run has a run directory under its own name. Its `result.json` is {"status": "done", "failed", "pruned" or
    "stopped", "reason", "seconds", "way", "final": {metric: value}, "best": {metric: value}}.

    Attributes:
      path: the directory.
    """

    path: pathlib.Path

    plan = property(lambda self: self.path / rundir.SWEEP)
    results = property(lambda self: self.path / "results.csv")
    programs = property(lambda self: self.path / "programs")  # one folder for each compiled group in training
    figures = property(lambda self: self.path / "figures")

    @property
    def format(self) -> int:
        """Return the format of the directory and of its runs, as `rundir.RunDir.format` does."""
        return rundir.format_in(self.plan)

    def run(self, name: str) -> rundir.RunDir:
        """Return the directory of a run.

        Args:
          name: the name of the run.
        """
        return rundir.RunDir(self.path / name)

    def read(self) -> tuple[Any, dict[str, Assignment]]:
        """Read the plan.

        Returns:
          (base config, {name of a run: its values of the axes}).

        Raises:
          UserError: if the directory has no plan, or a damaged one.
        """
        try:
            stored = json.loads(self.plan.read_text())
            if not all(isinstance(axes, dict) for axes in stored["runs"].values()) or not stored["runs"]:
                raise ValueError("it lists no runs with values of their axes")
            # The plan may come from a stranger. A name such as "../x" would lead out of the directory.
            for name in stored["runs"]:
                if pathlib.Path(name).name != name:
                    raise ValueError(f"{name!r} is no name of a run in this directory")
            return configuration.from_stored(stored["config"], self.plan), stored["runs"]
        except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            why = errors.first_line(error)
            raise UserError(f"{self.plan} cannot be read: {why}\nuse a directory that sweep.py wrote") from None

    def result(self, name: str) -> dict[str, Any] | None:
        """Return the result of a run, or None if it has none yet or a damaged one.

        Args:
          name: the name of the run.
        """
        # A damaged result counts as none, so that the run is trained again and not lost.
        result = rundir.read_json(self.run(name).result)
        return result if result and all(isinstance(result.get(key), kind) for key, kind in _RESULT.items()) else None

    def ended(self, name: str) -> bool:
        """Return whether a run has come to its end.

        Args:
          name: the name of the run.
        """
        return (self.result(name) or {}).get("status") in ENDED


# --- sweeps -----------------------------------------------------------------------------------------------------------


def is_sweep(workdir: str) -> bool:
    """Return whether a directory is that of a sweep.

    Args:
      workdir: path of the directory.
    """
    return os.path.isfile(SweepDir(pathlib.Path(workdir)).plan)


def check_is_no_sweep(workdir: str) -> None:
    """Check that a directory is not that of a sweep.

    Args:
      workdir: path of the directory.

    Raises:
      UserError: if it is; the message names one of its runs.
    """
    if is_sweep(workdir):
        sweep = SweepDir(pathlib.Path(workdir))
        names = list(sweep.read()[1])
        trained = [name for name in names if sweep.run(name).config.exists()]
        run = sweep.run((trained or names)[0])
        raise UserError(f"{workdir!r} is a sweep, and this command takes one run\nuse --workdir={run.path}")


def check_new_or_same(workdir: str, config: Any, keys: Sequence[str]) -> dict[str, Assignment]:
    """Check, without writing, that a sweep may begin or go on in a directory.

    Args:
      workdir: path of the directory.
      config: the base config of the sweep.
      keys: the config keys of its axes.

    Returns:
      {name: values of the axes} of the runs that the directory has already.

    Raises:
      UserError: if the directory cannot be written, holds a single run, or holds a sweep with another base config or
        other axes.
    """
    rundir.check_writable(workdir)
    sweep = SweepDir(pathlib.Path(workdir))
    if rundir.RunDir(sweep.path).config.exists():
        raise UserError(f"workdir {workdir!r} holds a single run\nuse another --workdir")
    if not sweep.plan.exists():
        return {}
    stored, runs = sweep.read()
    changed = configuration.differences(configuration.to_plain(stored), configuration.to_plain(config))
    stored_keys = list(next(iter(runs.values())))
    if stored_keys != list(keys):
        changed["axes"] = (", ".join(stored_keys), ", ".join(keys))
    if changed:
        raise UserError(
            f"workdir {workdir!r} holds a sweep of another plan: {rundir.show(changed)}\nuse another --workdir"
        )
    return runs


def begin(workdir: str, config: Any, runs: Mapping[str, Assignment]) -> SweepDir:
    """Make the directory of a sweep, and write its plan.

    Args:
      workdir: path of the directory.
      config: the base config.
      runs: {name of a run: its values of the axes} of all runs, those of earlier plans too.

    Raises:
      UserError: if the directory cannot be made.
    """
    sweep = SweepDir(pathlib.Path(workdir).absolute())
    try:
        sweep.path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"workdir {workdir!r} cannot be made: {error}\nuse another --workdir") from None
    plan = {"format": sweep.format, "config": configuration.to_plain(config), "runs": dict(runs)}
    # The keys are not sorted: the order of the axes has a meaning.
    rundir.write_text(sweep.plan, json.dumps(plan, indent=2) + "\n")
    return sweep


# --- compiled groups in training --------------------------------------------------------------------------------------


def begin_group(folder: pathlib.Path, names: Sequence[str], way: str) -> None:
    """Make the directory of a compiled group, by which it is found again if it is stopped.

    Args:
      folder: the directory of the group.
      names: the names of its runs.
      way: the way in which they are trained.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rundir.write_json(folder / _GROUP, {"runs": list(names), "way": way})


def way_of(folder: pathlib.Path) -> str | None:
    """Return the way in which a compiled group was begun, or None if it was not.

    Args:
      folder: the directory of the group.
    """
    return (rundir.read_json(folder / _GROUP) or {}).get("way")


def groups_in_training(sweep: SweepDir) -> list[tuple[list[str], str]]:
    """Return (names of the runs, way) of every compiled group that was begun and has not ended.

    Args:
      sweep: the sweep.
    """
    found = [_read_group(path) for path in sorted(sweep.programs.glob(f"*/{_GROUP}"))]
    return [(group["runs"], group["way"]) for group in found if group]


def clear_ended(sweep: SweepDir) -> None:
    """Remove what a kill has left of compiled groups whose runs had all ended.

    Args:
      sweep: the sweep.
    """
    for folder in sweep.programs.glob("*"):
        group = _read_group(folder / _GROUP)
        if group and all(map(sweep.ended, group["runs"])):
            end_group(folder)


def end_group(folder: pathlib.Path) -> None:
    """Remove the directory of a compiled group whose runs have ended.

    Args:
      folder: the directory of the group.
    """
    # The checkpoints go first. If a kill left them, a run that the user deletes to train it again would go on from its
    # old end.
    shutil.rmtree(rundir.RunDir(folder).checkpoints, ignore_errors=True)
    shutil.rmtree(folder)
    with contextlib.suppress(OSError):  # the folder still holds other groups
        folder.parent.rmdir()


def _read_group(path: pathlib.Path) -> dict[str, Any] | None:
    """Return the description of a compiled group; None if it is missing or damaged."""
    group = rundir.read_json(path) or {}
    return group if isinstance(group.get("runs"), list) and isinstance(group.get("way"), str) else None
