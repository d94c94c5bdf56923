"""A run directory: every name on disk, what stands in each file, and how a run is begun, resumed and read."""

import contextlib
import dataclasses
import functools
import importlib.metadata
import io
import json
import os
import pathlib
import subprocess
import sys
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ae_jax.core import errors
from ae_jax.core.errors import UserError
from ae_jax.core.types import FORMAT, DataSpec
from ae_jax.devices import processes
from ae_jax.experiments import configuration

SWEEP = "sweep.json"  # the file that makes a directory one of a sweep
# What a resumed run may change: how far it goes, what it logs and what it keeps.
_MAY_CHANGE = (
    *("train.steps", "train.epochs", "train.log_every", "train.eval_every", "train.checkpoint_every"),
    *("train.keep", "train.max_bad_steps", "eval.", "data.stream", "data.cache", "mesh.", "expected."),
)
_PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "ml_collections", "numpy", "tensorflow-datasets")


@dataclasses.dataclass(frozen=True)
class RunDir:
    """The paths of a run."""

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
        """Return the number of the rules by which this run reads its data; the newest before it is begun."""
        return format_in(self.config)

    def read(self) -> tuple[Any, DataSpec]:
        """(config, spec) as stored. Raises UserError where this is no run directory.

        `trusted.check` comes before anything is built from this config, as in `analysis.load`.
        """
        if not os.path.isfile(self.config):
            raise UserError(
                f"no run in {str(self.path)!r}: it has no config.json\nexpected the --workdir of a training run"
            )
        try:
            stored = json.loads(self.config.read_text())
            config = configuration.from_stored(stored["config"], self.config)
            spec = DataSpec(**stored["spec"])
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{self.config} cannot be read: {error}\nexpected the file that training wrote") from None
        return config, self._with_scaling(config, spec)

    def _with_scaling(self, config: Any, spec: DataSpec) -> DataSpec:
        """Return the stored spec with the scaling of the data. Raise UserError where that is lost or damaged."""
        if not os.path.exists(self.scaling):
            if config.data.scale != "none" and not spec.mean:
                raise UserError(f"{self.scaling} is missing\nexpected the file that training wrote; copy it back")
            return spec
        try:
            with np.load(self.scaling) as stored:
                mean, deviation = stored["offset"].tolist(), stored["divisor"].tolist()
        except (*errors.DAMAGED, KeyError) as error:
            reason = errors.first_line(error)
            raise UserError(f"{self.scaling} cannot be read: {reason}\nexpected the file that training wrote") from None
        return dataclasses.replace(spec, mean=mean, deviation=deviation)


def format_in(file: pathlib.Path) -> int:
    """Return the "format" (`types.FORMAT`) in a JSON file: 1 where it has none, the newest where there is no file.

    Raises:
      UserError: the file cannot be read, or a newer version of this package wrote it.
    """
    if not os.path.isfile(file):
        return FORMAT
    try:
        stored = dict(json.loads(file.read_text())).get("format", 1)
    except (ValueError, TypeError) as error:
        raise UserError(f"{file} cannot be read: {error}\nexpected the file that training wrote") from None
    if stored not in range(1, FORMAT + 1):
        raise UserError(f"{file} has format {stored!r}, and this version knows 1 to {FORMAT}\nupdate ae_jax")
    return stored


def check_new_or_same(workdir: str, config: Any) -> list[str]:
    """Checks, writing nothing, that a run of `config` may begin or go on in `workdir`.

    Answers one line for each key in which a resumed run differs harmlessly. Raises UserError where the path is not a
    writable directory, or holds a sweep or a run of another config (each differing key, both values).
    """
    run = RunDir(pathlib.Path(workdir))
    check_writable(workdir)
    if os.path.exists(run.path / SWEEP):
        raise UserError(f"workdir {workdir!r} holds a sweep\ntry another --workdir, or one of its runs'")
    if not os.path.exists(run.config):
        return []
    stored = configuration.to_plain(run.read()[0])
    changed = configuration.differences(stored, configuration.to_plain(config))
    # The file has the places of the first process; others may have the same data elsewhere.
    may_change = _MAY_CHANGE if processes.leads() else _MAY_CHANGE + configuration.PLACES
    refused = {key: values for key, values in changed.items() if not key.startswith(may_change)}
    if refused:
        kept = any(run.checkpoints.glob("[0-9]*"))
        cure = "try another --workdir" + ("" if kept else ", or delete this one: it has no checkpoint")
        raise UserError(f"workdir {workdir!r} holds a run of another config: {show(refused)}\n{cure}")
    notes = [f"going on with changes: {show(changed)}"] if changed else []
    schedules = [key for key in configuration.keys(stored) if _has_horizon(stored, key)]
    if schedules and any(key in changed for key in ("train.steps", "train.epochs")):
        notes.append(f"warning: the length changes, the horizon of {', '.join(schedules)} does not")
    return notes


def check_writable(workdir: str) -> None:
    """Raises UserError unless the path is a writable directory, or one may be made there."""
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
        raise UserError(
            f"workdir {workdir!r} cannot be written: no permission in {str(parent)!r}\ntry another --workdir"
        )


def show(differing: Mapping[str, tuple[Any, Any]]) -> str:
    """Differences of two configs, for an error message."""
    return ", ".join(f"{key} ({old!r} there, {new!r} here)" for key, (old, new) in differing.items())


def _has_horizon(plain: Mapping[str, Any], key: str) -> bool:
    for part in key.split("."):
        plain = plain[part]
    return isinstance(plain, str) and plain.startswith(("linear:", "cosine:", "optax."))


def check_shared(workdir: str) -> None:
    """Raises UserError, in all processes, unless a file that the first makes there is seen by all."""
    if processes.count() == 1:
        return
    folder = pathlib.Path(workdir).absolute()
    new = [path for path in (folder, *folder.parents) if not path.exists()]
    met = folder / processes.exchange(f".met-{uuid.uuid4().hex}")[0]
    with processes.agreeing():
        if processes.leads():
            _make(folder, workdir)
            met.touch()
    seen = met.exists()
    try:
        lacks = f"workdir {workdir!r} is not the folder that process 0 has there\nexpected one that all hosts share"
        processes.exchange(None, "" if seen else lacks)
    finally:
        if processes.leads():
            met.unlink()
            for path in new:
                path.rmdir()


def _make(folder: pathlib.Path, workdir: str) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"workdir {workdir!r} cannot be made: {error}\ntry another --workdir") from None


def begin(
    workdir: str, config: Any, spec: DataSpec, format: int = FORMAT, *, flush: bool = True, **more: Any
) -> RunDir:
    """The run directory, with config.json and versions.json written, the latter with `more` in it.

    format: see `types.FORMAT`. flush: see `write_text`. Raises UserError where it cannot be made.
    """
    run = RunDir(pathlib.Path(workdir).absolute())
    _make(run.path, workdir)
    # The scaling of wide tables is long, and its numbers are kept exactly: it has a file of its own.
    described = {**dataclasses.asdict(spec), "mean": (), "deviation": ()}
    if spec.mean:
        with io.BytesIO() as packed:
            np.savez(packed, offset=np.array(spec.mean), divisor=np.array(spec.deviation))
            write_bytes(run.scaling, packed.getvalue(), flush=flush)
    stored = {"format": format, "config": configuration.to_plain(config), "spec": described}
    write_json(run.config, stored, flush=flush)
    write_json(run.versions, {**versions(), **more}, flush=flush)
    return run


@functools.cache
def versions() -> Mapping[str, Any]:
    """Package versions, git revision, devices and flags of this process."""
    import jax

    def version(name):
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            return None

    git = ["git", "-C", str(configuration.ROOT), "rev-parse", "HEAD"]
    try:
        revision = subprocess.run(git, capture_output=True, text=True).stdout.strip() or None
    except OSError:
        revision = None
    devices = jax.devices()
    return {
        "python": sys.version.split()[0],
        "packages": {name: version(name) for name in _PACKAGES},
        "git": revision,
        "device": devices[0].device_kind,
        "platform": devices[0].platform,
        "devices": len(devices),
        "script": pathlib.Path(sys.argv[0]).name,
        "flags": sys.argv[1:],
    }


def write_json(path: pathlib.Path, value: Any, *, flush: bool = True) -> None:
    """`write_text` of the value as JSON."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True) + "\n", flush=flush)


def write_text(path: pathlib.Path, text: str, *, flush: bool = True) -> None:
    """Write a text by `write_bytes`."""
    write_bytes(path, text.encode(), flush=flush)


def write_bytes(path: pathlib.Path, content: bytes, *, flush: bool = True) -> None:
    """Write a file by an atomic write; of several processes, the first does.

    Args:
      path: the file.
      content: all that it is to hold.
      flush: whether it is on disk when this returns. Who writes hundreds of files does better with one `os.sync` at
        last.
    """
    if not processes.leads():
        return
    temporary = path.with_name(f".{path.name}.tmp")
    with temporary.open("wb") as file:
        file.write(content)
        if flush:
            file.flush()
            os.fsync(file.fileno())
    os.replace(temporary, path)


def append_line(path: pathlib.Path, *values: Mapping[str, Any]) -> None:
    """Appends JSON objects, each as a line, on disk when this returns; of several processes, the first does."""
    if not processes.leads():
        return
    with path.open("ab+") as file:
        cut_short = file.tell() and (file.seek(-1, os.SEEK_END), file.read())[1] != b"\n"
        file.write(b"\n" * cut_short + as_lines(values).encode())
        file.flush()
        os.fsync(file.fileno())


def as_lines(values: Iterable[Mapping[str, Any]]) -> str:
    """JSON objects as the text of a file of lines."""
    return "".join(f"{json.dumps(value)}\n" for value in values)


def read_lines(path: pathlib.Path) -> list[dict[str, Any]]:
    """The JSON objects of a file of lines; what a crash cut short is left out."""
    lines = []
    for line in path.read_text().splitlines() if path.exists() else []:
        with contextlib.suppress(ValueError):
            lines.append(json.loads(line))
    return lines


def truncate_lines(path: pathlib.Path, step: int) -> None:
    """Drops every line after `step`, so that a resumed run writes it again."""
    write_text(path, as_lines(line for line in read_lines(path) if line["step"] <= step))
