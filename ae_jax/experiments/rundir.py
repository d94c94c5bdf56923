"""Read, write and check a run directory: file names, contents, and whether a run may resume."""

import dataclasses
import functools
import json
import os
import pathlib
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from ae_jax.core import errors, files
from ae_jax.core.errors import RunFailed, UserError
from ae_jax.core.types import FORMAT, DataSpec
from ae_jax.devices import processes
from ae_jax.experiments import configuration, stored_scaling, versions

SWEEP = "sweep.json"  # a directory with this file is that of a sweep
# The keys that a resumed run may change: its length, its logging, its checkpoints and its devices.
_MAY_CHANGE = (
    *("train.steps", "train.epochs", "train.log_every", "train.eval_every", "train.checkpoint_every"),
    *("train.keep", "train.max_bad_steps", "eval.", "data.stream", "data.cache", "mesh.", "expected.", "regression."),
)
# {file: {key: its type}}, what every line of a file has.
_NEEDED: dict[str, dict[str, Any]] = {
    "metrics.jsonl": {"step": int, "split": str},
    "timings.jsonl": {"step": int, "window_seconds": (int, float)},
    "evaluations.jsonl": {"step": int},
}


@dataclasses.dataclass(frozen=True)
class RunDir:
    """The paths of the files of a run, whose directory is `path`."""

    path: pathlib.Path

    config = property(lambda self: self.path / "config.json")
    versions = property(lambda self: self.path / "versions.json")
    metrics = property(lambda self: self.path / "metrics.jsonl")
    timings = property(lambda self: self.path / "timings.jsonl")
    evaluations = property(lambda self: self.path / "evaluations.jsonl")
    checkpoints = property(lambda self: self.path / "checkpoints")
    figures = property(lambda self: self.path / "figures")
    tensorboard = property(lambda self: self.path / "tensorboard")
    profile = property(lambda self: self.path / "profile")
    result = property(lambda self: self.path / "result.json")
    scaling = property(lambda self: self.path / "scaling.npz")

    @property
    def format(self) -> int:
        """Return the `types.FORMAT` of this run; the newest for a run that has not begun."""
        return format_in(self.config)

    def check_is_there(self) -> None:
        """Raise RunFailed where the directory or its config was deleted while the run trained."""
        if not os.path.isfile(self.config):
            raise RunFailed(
                f"{self.config} disappeared while the run trained\nrun the same command again to train anew"
            )

    def read(self) -> tuple[Any, DataSpec]:
        """Return (config, spec) as stored; raise UserError where this is no run directory.

        Call `trusted.check` before anything is built from this config, as `analysis.load` does.
        """
        if not os.path.isfile(self.config):
            no_run = f"no run in {str(self.path)!r}: it has no config.json"
            raise UserError(f"{no_run}\nexpected the --workdir of a training run")
        try:
            stored = json.loads(self.config.read_text())
            config, spec = configuration.from_stored(stored["config"], self.config), DataSpec(**stored["spec"])
        except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            why = errors.first_line(error)
            raise UserError(f"{self.config} cannot be read: {why}\nexpected the file that training wrote") from None
        return config, stored_scaling.merged(self.scaling, config, spec)


def format_in(file: pathlib.Path) -> int:
    """Return the "format" in a JSON file, see `types.FORMAT`.

    Args:
      file: such as a run's config.json. It has format 1 if it names none. Without a file, the newest is returned.

    Raises:
      UserError: the file cannot be read, or a newer version of this package wrote it.
    """
    if not os.path.isfile(file):
        return FORMAT
    try:
        stored = dict(json.loads(file.read_text())).get("format", 1)
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise UserError(
            f"{file} cannot be read: {errors.first_line(error)}\nexpected the file that training wrote"
        ) from None
    if stored not in range(1, FORMAT + 1):
        raise UserError(f"{file} has format {stored!r}, and this version knows 1 to {FORMAT}\nupdate ae_jax")
    return stored


def check_new_or_same(workdir: str, config: Any) -> list[str]:
    """Check that a run of a config may begin or resume in a directory; nothing is written.

    Args:
      workdir: the run's directory.
      config: the complete config.

    Returns:
      Notes for the user, a line each, on the changes that a resumed run is allowed.

    Raises:
      UserError: the path is not a writable directory, or holds a sweep or a run of another config.
    """
    run = RunDir(pathlib.Path(workdir))
    check_writable(workdir)
    if os.path.exists(run.path / SWEEP):
        raise UserError(f"workdir {workdir!r} holds a sweep\ntry another --workdir, or one of its runs'")
    if not os.path.exists(run.config):
        return []
    stored = configuration.to_plain(run.read()[0])
    changed = configuration.differences(stored, configuration.to_plain(config))
    # The first process wrote its own paths into the file. The other hosts may have the same data elsewhere.
    may_change = _MAY_CHANGE if processes.leads() else _MAY_CHANGE + configuration.PLACES
    refused = {key: values for key, values in changed.items() if not key.startswith(may_change)}
    if refused:
        kept = any(run.checkpoints.glob("[0-9]*"))
        cure = "try another --workdir"
        if not kept:
            cure += ", or delete this one: it has no checkpoint"
        elif not any(key.startswith("model.") for key in refused):
            # The network is the same, so that a new run can go on from these parameters.
            cure += f", with --config.train.init_from={workdir} to start from these parameters"
        raise UserError(f"workdir {workdir!r} holds a run of another config: {show(refused)}\n{cure}")
    notes = [f"going on with changes: {show(changed)}"] if changed else []
    # A schedule's horizon is a number of steps of its own, which a longer or shorter training does not move.
    schedules = [key for key in configuration.keys(stored) if _has_horizon(stored, key)]
    if schedules and any(key in changed for key in ("train.steps", "train.epochs")):
        notes.append(f"warning: the length changes, the horizon of {', '.join(schedules)} does not")
    return notes


def check_writable(workdir: str) -> None:
    """Raise UserError unless a path is a writable directory, or one can be made there."""
    if not workdir:
        raise UserError("workdir is empty\nexpected a new path, or the directory of a run")
    path = pathlib.Path(workdir).absolute()
    # os.path.exists: pathlib's own raises where a folder on the way may not be entered.
    parent = next(p for p in (path, *path.parents) if os.path.exists(p))
    if not parent.is_dir():
        raise UserError(
            f"workdir {workdir!r}: {str(parent)!r} is not a directory\nexpected a new path, or the directory of a run"
        )
    if not os.access(parent, os.W_OK | os.X_OK):
        no_permission = f"workdir {workdir!r} cannot be written: no permission in {str(parent)!r}"
        raise UserError(f"{no_permission}\ntry another --workdir")


def show(differing: Mapping[str, tuple[Any, Any]]) -> str:
    """Return the differences of two configs, {key: (old, new)}, as text for a message."""
    return ", ".join(f"{key} ({old!r} there, {new!r} here)" for key, (old, new) in differing.items())


def _has_horizon(plain: Mapping[str, Any], key: str) -> bool:
    """Return whether a key's value is a schedule that ends at a fixed step."""
    for part in key.split("."):
        plain = plain[part]
    return isinstance(plain, str) and plain.startswith(("linear:", "cosine:", "optax."))


def _make(folder: pathlib.Path, workdir: str) -> None:
    """Make a folder with its parents; raise UserError where that fails."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"workdir {workdir!r} cannot be made: {error}\ntry another --workdir") from None


def begin(
    workdir: str, config: Any, spec: DataSpec, format: int = FORMAT, *, flush: bool = True, **more: Any
) -> RunDir:
    """Make a run's directory, and write config.json and versions.json.

    Args:
      workdir: the directory.
      config: the complete config.
      spec: the specification of one example.
      format: the version of the rules by which the run reads its data, see `types.FORMAT`.
      flush: whether the files are on disk when this returns, see `write_text`.
      **more: further entries of versions.json, or other values for its entries.

    Raises:
      UserError: the directory cannot be made.
    """
    run = RunDir(pathlib.Path(workdir).absolute())
    _make(run.path, workdir)
    # The scaling is written before config.json, so that a crash leaves no run whose scaling is missing.
    if spec.mean:
        write_text(run.scaling, stored_scaling.packed(spec), flush=flush)
    stored = {"format": format, "config": configuration.to_plain(config), "spec": stored_scaling.without(spec)}
    write_json(run.config, stored, flush=flush)
    write_json(run.versions, {**versions.of_process(), **more}, flush=flush)
    return run


def write_json(path: pathlib.Path, value: Any, *, flush: bool = True) -> None:
    """Write a value to a file as JSON, atomically; the options are those of `write_text`."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True) + "\n", flush=flush)


def write_text(path: pathlib.Path, text: str | bytes, *, flush: bool = True) -> None:
    """Write a file atomically, in the first process: a crash leaves the old file or the new one.

    Args:
      path: the file.
      text: its contents.
      flush: whether the file is on disk when this returns. For hundreds of files, one `os.sync` at the end is faster.
    """
    if processes.leads():
        with files.atomic_write(path, flush) as file:
            file.write(text if isinstance(text, bytes) else text.encode())


def read_json(path: pathlib.Path) -> dict[str, Any] | None:
    """Return the JSON object in a file; None if the file is missing or damaged."""
    try:
        found = json.loads(path.read_text()) if os.path.isfile(path) else None
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def append_line(path: pathlib.Path, *values: Mapping[str, Any]) -> None:
    """Append JSON objects to a file, in the first process, a line each, flushed to disk."""
    if processes.leads():
        files.append(path, as_lines(values))


def as_lines(values: Iterable[Mapping[str, Any]]) -> str:
    """Return JSON objects as text, a line each."""
    return files.as_lines(values)


def read_lines(path: pathlib.Path) -> list[dict[str, Any]]:
    """Return the JSON objects of a file with a line each; [] if there is no file.

    Lines that are damaged, or lack what every line of this file has, are left out. A warning on standard error counts
    them, unless it is only the last line, which a crash may cut short.
    """
    if not os.path.isfile(path):
        return []
    lines, damaged = files.parse_lines(path.read_bytes())
    needed = _NEEDED.get(path.name, {})
    usable = [line for line in lines if all(isinstance(line.get(key), kind) for key, kind in needed.items())]
    damaged += len(lines) - len(usable)
    if damaged:
        _warn_damaged(path, damaged)
    return usable


@functools.cache
def _warn_damaged(path: pathlib.Path, count: int) -> None:
    """Warn on standard error, once per process, that lines of a file are left out."""
    print(f"warning: {count} damaged lines of {path} are left out", file=sys.stderr)


def truncate_lines(path: pathlib.Path, step: int) -> None:
    """Remove a file's lines after `step`, because a resumed run writes them again."""
    write_text(path, as_lines(line for line in read_lines(path) if line["step"] <= step))
