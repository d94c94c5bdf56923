"""A directory of files in the IDX format of MNIST, plain or gzipped.

The format (http://yann.lecun.com/exdb/mnist): two zero bytes, the type (8: unsigned byte), the number of dimensions,
each dimension as a big-endian 32-bit integer, then the values in C order.
"""

import gzip
import math
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ae_jax.core.errors import UserError
from ae_jax.core.types import FORMAT, DataSpec
from ae_jax.data import cached, downloads, labels

# The names that the files of each split have: those of MNIST, and of EMNIST after a prefix such as "emnist-letters-".
STEMS = {"train": ("train",), "test": ("t10k", "test")}


def load(
    dir: str = "", cache: str = "", format_number: int = FORMAT, *, name: str = "", prefix: str = ""
) -> tuple[DataSpec, dict]:
    """Read the images of a folder and, where they are, their labels.

    The files are {train,t10k}-images-idx3-ubyte and {train,t10k}-labels-idx1-ubyte, plain or with .gz; also under their
    dotted names, train-images.idx3-ubyte, and under those of EMNIST, emnist-letters-test-images-idx3-ubyte. Of several
    processes one reads, and all map its arrays from the cache.

    Args:
      dir: the folder.
      cache: the folder of the cache; ~/.cache/ae_jax by default, or ae_jax in $XDG_CACHE_HOME.
      format_number: the rules by which the run reads its data, see `ae_jax.core.types.FORMAT`.
      name: name of the set; mnist and fashion_mnist are downloaded once if `dir` is empty.
      prefix: what stands before the names of the files, where the folder holds several sets, such as emnist-letters.

    Returns:
      The DataSpec, and {"train", "test"}: {"x": [N, H, W, 1] uint8, "label"?: [N] int32}.

    Raises:
      UserError: a file is missing, damaged or at odds with another; the message names it.
    """
    folder = downloads.folder(name, cache) if not dir and name in downloads.SETS else Path(dir).expanduser()
    if folder == Path() or not folder.is_dir():
        raise UserError(f"data.dir must be a folder with train-images-idx3-ubyte[.gz] and its sisters; got {dir!r}")

    def home():
        stamps = cached.stamps(sorted(folder.glob("*-ubyte*")))
        return cached.folder(cache, "idx", [folder.name, stamps, prefix, format_number])

    return cached.shared(home, lambda: _load(folder, prefix, format_number))


def _load(folder: Path, prefix: str, format_number: int) -> tuple[DataSpec, dict]:
    """Read all files of a folder, and check that they agree."""
    prefix = f"{prefix}-" if prefix else _only_prefix(folder)
    splits: dict[str, dict[str, np.ndarray]] = {}
    for split, stems in STEMS.items():
        splits[split] = {"x": _read(folder, [f"{prefix}{stem}-images" for stem in stems], 3)[..., None]}
    (shape, other) = (splits[split]["x"].shape[1:] for split in STEMS)
    if shape != other:
        raise UserError(f"{folder}: training images are {shape[:2]}, test images {other[:2]}; expected one size")
    if not any(folder.glob(f"{prefix}*-labels?idx1-ubyte*")):
        return DataSpec(shape=shape), splits
    stored = {}
    for split, stems in STEMS.items():
        stored[split] = _read(folder, [f"{prefix}{stem}-labels" for stem in stems], 1)
        count = len(splits[split]["x"])
        if len(stored[split]) != count:
            raise UserError(f"{folder}: {split} has {count} images but {len(stored[split])} labels")
    found, fields = labels.read(stored, {split: len(stored[split]) for split in stored}, str(folder))
    if format_number < 5:
        # Runs that were begun under older rules have a class for every number from 0 on.
        found = {split: label.astype(np.int32) for split, label in stored.items()}
        fields = {"classes": max(int(label.max()) for label in stored.values()) + 1}
    for split, label in found.items():
        splits[split]["label"] = label
    return DataSpec(shape=shape, **fields), splits


def _only_prefix(folder: Path) -> str:
    """Return what stands before "train-images" in the names of the files.

    Raise UserError where there are several.
    """
    found = {file.name.partition("train-images")[0] for file in folder.glob("*train-images?idx3-ubyte*")}
    if len(found) > 1:
        names = ", ".join(sorted(name.rstrip("-") for name in found if name))
        raise UserError(f"{folder} holds several sets: {names}\nset --config.data.prefix to one of them")
    return next(iter(found), "")


def _read(folder: Path, names: Sequence[str], rank: int) -> np.ndarray:
    """Return the uint8 array of `rank` dimensions in the file of one of these names."""
    ends = [f"{dot}idx{rank}-ubyte{gz}" for dot in "-." for gz in ("", ".gz")]
    candidates = [folder / f"{name}{end}" for name in names for end in ends]
    file = next((each for each in candidates if each.is_file()), None)
    if file is None:
        raise UserError(f"{folder} holds neither {candidates[0].name} nor {candidates[1].name}")
    try:
        with (gzip.open if file.suffix == ".gz" else open)(file, "rb") as stream:
            data = stream.read()
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{file} is truncated or no gzip file: {error}") from None
    magic, header = 0x0800 + rank, 4 + 4 * rank
    if int.from_bytes(data[:4], "big") != magic:
        raise UserError(f"{file} starts with 0x{data[:4].hex()}; an idx{rank}-ubyte file starts with 0x{magic:08x}")
    shape = np.frombuffer(data[4:header].ljust(4 * rank, b"\0"), ">u4").tolist()
    expected = header + math.prod(shape)
    if len(data) != expected or expected == header:
        size = " x ".join(map(str, shape))
        raise UserError(
            f"{file} is empty or damaged: {expected} bytes are {size} values and a header; it has {len(data)}"
        )
    return np.frombuffer(data, np.uint8, offset=header).reshape(shape)
