"""A directory of files in the IDX format of MNIST, plain or gzipped.

The format (http://yann.lecun.com/exdb/mnist): two zero bytes, the type (8: unsigned byte), the number of dimensions,
each dimension as a big-endian 32-bit integer, then the values in C order.
"""

import gzip
import math
import zlib
from pathlib import Path

import numpy as np

from ae_jax.core.errors import UserError
from ae_jax.core.types import DataSpec
from ae_jax.data import cached, downloads

STEMS = {"train": "train", "test": "t10k"}


def load(name: str = "", dir: str = "", cache: str = "") -> tuple[DataSpec, dict]:
    """Read {train,t10k}-images-idx3-ubyte[.gz] and, if they exist, {train,t10k}-labels-idx1-ubyte[.gz].

    Of several processes one reads, and all map its arrays from the cache.

    Args:
      name: name of the set; mnist and fashion_mnist are downloaded once if `dir` is empty.
      dir: the folder of the files.
      cache: the folder of the cache; ~/.cache/ae_jax by default, or ae_jax in $XDG_CACHE_HOME.

    Returns:
      The DataSpec, and {"train", "test"}: {"x": [N, H, W, 1] uint8, "label"?: [N]}.

    Raises:
      UserError: a file is missing, damaged or contradicts another; the message names it.
    """
    folder = downloads.folder(name, cache) if not dir and name in downloads.SETS else Path(dir).expanduser()
    if folder == Path() or not folder.is_dir():
        raise UserError(f"data.dir must be a folder with train-images-idx3-ubyte[.gz] and its sisters; got {dir!r}")
    home = lambda: cached.folder(cache, "idx", [folder.name, cached.stamps(sorted(folder.glob("*-ubyte*")))])
    return cached.shared(home, lambda: _load(folder))


def _load(folder: Path) -> tuple[DataSpec, dict]:
    splits = {split: {"x": _read(folder, f"{stem}-images-idx3-ubyte", 3)[..., None]} for split, stem in STEMS.items()}
    (shape, other) = (splits[split]["x"].shape[1:] for split in STEMS)
    if shape != other:
        raise UserError(f"{folder}: training images are {shape[:2]}, test images {other[:2]}; expected one size")
    if any(folder.glob("*-labels-idx1-ubyte*")):
        for split, stem in STEMS.items():
            label = _read(folder, f"{stem}-labels-idx1-ubyte", 1).astype(np.int32)
            count = len(splits[split]["x"])
            if len(label) != count:
                raise UserError(f"{folder}: {stem} has {count} images but {len(label)} labels")
            splits[split]["label"] = label
    classes = max((int(arrays["label"].max()) + 1 for arrays in splits.values() if "label" in arrays), default=0)
    return DataSpec(shape=shape, classes=classes), splits


def _read(folder: Path, name: str, rank: int) -> np.ndarray:
    """The uint8 array of `rank` dimensions in `folder/name` or `folder/name.gz`."""
    file = next((f for f in (folder / name, folder / f"{name}.gz") if f.is_file()), None)
    if file is None:
        raise UserError(f"{folder} holds neither {name} nor {name}.gz")
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
