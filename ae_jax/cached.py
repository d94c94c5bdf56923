"""Arrays that take long to read or to decode, kept in a folder of the cache; later runs map them into memory."""

import contextlib
import dataclasses
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ae_jax.errors import UserError
from ae_jax.types import DataSpec

SPLITS = ("train", "test")


def folder(cache: str, source: str, key: list) -> Path:
    """Where the arrays that `key`, a name and what else tells them apart, identifies stand: in the folder `cache`.

    Its default "" is ~/.cache/ae_jax, or below $XDG_CACHE_HOME.
    """
    root = Path(cache or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "ae_jax")).expanduser()
    digest = hashlib.sha256(json.dumps(key).encode()).hexdigest()[:12]
    return root / source / f"{key[0].replace('/', '-').replace(':', '-')}-{digest}"


def read(home: Path) -> tuple[DataSpec, dict]:
    """The spec and the splits, memory-mapped, in spec.json and {train,test}/{x,label}.npy."""
    spec = json.loads((home / "spec.json").read_text())
    splits = {s: {f.stem: np.load(f, mmap_mode="r") for f in sorted((home / s).glob("*.npy"))} for s in SPLITS}
    return DataSpec(**spec), splits


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
            try:
                os.replace(whole, home)
            except OSError:
                if not home.exists():  # else another process was faster
                    raise
    except OSError as error:
        raise UserError(f"decoded arrays cannot be written (choose a --config.data.cache): {error}") from None
