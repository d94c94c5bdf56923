"""Arrays that take long to read or to decode, kept in a folder of the cache; later runs map them into memory."""

import contextlib
import dataclasses
import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np

from ae_jax.core import errors
from ae_jax.core.errors import UserError
from ae_jax.core.types import DataSpec
from ae_jax.devices import processes

SPLITS = ("train", "validation", "test", "all")


def folder(cache: str, source: str, key: list) -> Path:
    """Where the arrays that `key`, a name and what else tells them apart, identifies stand: in the folder `cache`.

    Its default "" is ~/.cache/ae_jax, or below $XDG_CACHE_HOME.
    """
    root = Path(cache or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "ae_jax")).expanduser()
    digest = hashlib.sha256(json.dumps(key).encode()).hexdigest()[:12]
    return root / source / f"{key[0].replace('/', '-').replace(':', '-')}-{digest}"


def stamps(files: Iterable[Path]) -> list:
    """What tells these files, unchanged, from others: a part of a `folder`'s key."""
    return [[str(file.absolute()), file.stat().st_size, file.stat().st_mtime_ns] for file in files]


def kept(home: Path, make: Callable[[], None]) -> tuple[DataSpec, dict]:
    """What stands in `home`, where `make()` puts it if it is not there; of several processes one does, the others wait.

    Raises UserError, in all of them, where that does, and where what stands there is damaged.
    """
    processes.make_once(home.exists, make)
    with processes.agreeing():
        return _read(home)


def shared(home: Callable[[], Path], load: Callable[[], tuple[DataSpec, dict]]) -> tuple[DataSpec, dict]:
    """What `load()` answers; of several processes one asks, and all map what it writes into the folder `home()`.

    Raises UserError, in all of them, where that does.
    """
    if processes.count() == 1:
        return load()
    folder = home()

    def make():
        print(f"reading examples into {folder}, once", file=sys.stderr)
        write(folder, *load())

    return kept(folder, make)


def write(home: Path, spec: DataSpec, splits: Mapping[str, Mapping[str, np.ndarray]]) -> None:
    """Puts them there, for `kept` to read."""
    with written_whole(home) as whole:
        for split, arrays in splits.items():
            (whole / split).mkdir()
            for name, values in arrays.items():
                np.save(whole / split / name, values)
        write_spec(whole, spec)


def _read(home: Path) -> tuple[DataSpec, dict]:
    """The spec and the splits, memory-mapped, in spec.json and SPLIT/{x,label}.npy."""
    try:
        spec = DataSpec(**json.loads((home / "spec.json").read_text()))
        there = [split for split in SPLITS if (home / split).is_dir()]
        splits = {s: {f.stem: np.load(f, mmap_mode="r") for f in sorted((home / s).glob("*.npy"))} for s in there}
    except (*errors.DAMAGED, KeyError, TypeError) as error:
        raise UserError(f"{home} is damaged: {errors.first_line(error)}\ndelete it, and it is made again") from None
    return spec, splits


def write_spec(home: Path, spec: DataSpec) -> None:
    """Writes spec.json."""
    (home / "spec.json").write_text(json.dumps(dataclasses.asdict(spec)))


@contextlib.contextmanager
def written_whole(home: Path) -> Iterator[Path]:
    """A folder to write into, which afterwards stands as `home`, whole or not at all. Raises UserError."""
    try:
        home.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home.parent) as scratch:
            whole = Path(scratch, "set")
            whole.mkdir()
            yield whole
            os.sync()  # a folder that is there is taken to be whole, should the power fail now
            try:
                os.replace(whole, home)
            except OSError:
                if not home.exists():  # else another process was faster
                    raise
    except OSError as error:
        raise UserError(f"{home} cannot be made: {error}\ntry another --config.data.cache") from None
