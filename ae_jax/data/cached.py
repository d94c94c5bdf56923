"""What takes long to read, to decode or to check, kept in a folder of the cache.

Later runs map arrays from there.
"""

import contextlib
import dataclasses
import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ae_jax.core import errors
from ae_jax.core.errors import UserError
from ae_jax.core.types import DataSpec
from ae_jax.devices import processes

SPLITS = ("train", "validation", "test", "all")


def folder(cache: str, source: str, key: list) -> Path:
    """Return the folder of the cache for one set of arrays.

    Args:
      cache: the folder of all caches; "" stands for ~/.cache/ae_jax, or ae_jax in $XDG_CACHE_HOME.
      source: the data source.
      key: a name, and whatever else distinguishes the set from others; JSON can hold it.
    """
    # The name is for people. The digest covers the whole key and tells sets of one name apart.
    digest = hashlib.sha256(json.dumps(key).encode()).hexdigest()[:12]
    return root(cache) / source / f"{key[0].replace('/', '-').replace(':', '-')}-{digest}"


def root(cache: str) -> Path:
    """Return the folder of all caches.

    Args:
      cache: the folder; "" stands for ~/.cache/ae_jax, or ae_jax in $XDG_CACHE_HOME.
    """
    return Path(cache or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "ae_jax")).expanduser()


def stamps(files: Iterable[Path]) -> list:
    """Return the path, size and time of change of each file, for the key of a `folder`."""
    # A hash of the content would read the whole file at every start, which the cache is to spare.
    return [[str(file.absolute()), file.stat().st_size, file.stat().st_mtime_ns] for file in files]


def kept(home: Path, make: Callable[[], None]) -> tuple[DataSpec, dict]:
    """Return the set in the folder `home`, memory-mapped; `make()` puts it there if it is not.

    One of several processes calls `make()`, and the others wait.

    Raises:
      UserError: `make()` raised it, or the set is damaged; all processes raise it.
    """
    processes.make_once(home.exists, make)
    with processes.agreeing():
        return _read(home)


def shared(home: Callable[[], Path], load: Callable[[], tuple[DataSpec, dict]]) -> tuple[DataSpec, dict]:
    """Return what `load()` returns.

    One of several processes calls it and writes a folder that all of them map.

    Args:
      home: the function that returns the folder, which is asked only where there are several processes.
      load: the function that reads a DataSpec and splits.

    Raises:
      UserError: `load()` raised it; all processes raise it.
    """
    if processes.count() == 1:
        return load()
    folder = home()

    def make():
        print(f"reading examples into {folder}, once", file=sys.stderr)
        write(folder, *load())

    return kept(folder, make)


def write(home: Path, spec: DataSpec, splits: Mapping[str, Mapping[str, np.ndarray]]) -> None:
    """Write a set into the folder `home`, for `kept` to read.

    Args:
      home: the folder, which is not there yet.
      spec: what one example looks like.
      splits: {split: {"x": [N, *shape], "label"?: [N]}}, as stored.
    """
    with written_whole(home) as whole:
        for split, arrays in splits.items():
            (whole / split).mkdir()
            for name, values in arrays.items():
                np.save(whole / split / name, values)
        write_spec(whole, spec)


def _read(home: Path) -> tuple[DataSpec, dict]:
    """Return the spec in spec.json, and the memory-mapped splits in SPLIT/{x,label}.npy."""
    try:
        spec = DataSpec(**json.loads((home / "spec.json").read_text()))
        there = [split for split in SPLITS if (home / split).is_dir()]
        splits = {split: _mapped(home / split) for split in there}
    except (*errors.DAMAGED, KeyError, TypeError) as error:
        raise UserError(f"{home} is damaged: {errors.first_line(error)}\ndelete it, and it is made again") from None
    return spec, splits


def _mapped(folder: Path) -> dict[str, np.ndarray]:
    # Maps that are only read share one copy in memory between all processes of a machine.
    return {file.stem: np.load(file, mmap_mode="r") for file in sorted(folder.glob("*.npy"))}


def write_spec(home: Path, spec: DataSpec) -> None:
    """Write spec.json into a set's folder."""
    (home / "spec.json").write_text(json.dumps(dataclasses.asdict(spec)))


@contextlib.contextmanager
def written_whole(home: Path) -> Iterator[Path]:
    """Yield a folder to write into, which becomes `home` at the end of the `with` statement.

    It appears as a whole or not at all.

    Raises:
      UserError: the folder cannot be written.
    """
    try:
        home.parent.mkdir(parents=True, exist_ok=True)
        # The scratch folder lies beside `home`, because a rename is atomic only within one file system.
        with tempfile.TemporaryDirectory(dir=home.parent) as scratch:
            whole = Path(scratch, "set")
            whole.mkdir()
            yield whole
            # Later runs take a folder that exists to be whole, even after a power cut.
            os.sync()
            try:
                os.replace(whole, home)
            except OSError:
                # Where it exists, another process was faster.
                if not home.exists():
                    raise
    except OSError as error:
        raise UserError(f"{home} cannot be made: {error}\ntry another --config.data.cache") from None


def remembered(cache: str, file: Path, find: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return what `find()` returns of a file; it is called again once the file has changed.

    Args:
      cache: as for `folder`.
      file: a file that takes long to read.
      find: the function that reads it; JSON can hold what it returns.
    """
    home = folder(cache, "surveys", [file.name, stamps([file])]) / "found.json"
    with contextlib.suppress(*errors.DAMAGED):
        return json.loads(home.read_text())
    found = find()
    # Without a folder to write into, the next run reads the file again; that is no reason not to go on with this one.
    with contextlib.suppress(OSError):
        home.parent.mkdir(parents=True, exist_ok=True)
        # The number of the process keeps two that run at once from writing into one file.
        scratch = home.with_suffix(f".{os.getpid()}")
        scratch.write_text(json.dumps(found))
        os.replace(scratch, home)
    return found
