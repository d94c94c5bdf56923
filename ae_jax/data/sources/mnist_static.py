"""Larochelle's static binarisation of MNIST: 50,000, 10,000 and 10,000 images of bits.

Larochelle and Murray 2011, "The neural autoregressive distribution estimator". Published numbers for "static MNIST" are
of exactly these bits. A number for other binarised images, or for grey levels, cannot be compared with them.
"""

import os
from pathlib import Path

import numpy as np

from ae_jax.core import errors
from ae_jax.core.errors import UserError
from ae_jax.core.types import DataSpec
from ae_jax.data.sources import tfds

FILE = "binarized_mnist_packed.npz"
_TFDS_NAME = "binarized_mnist"
_SHAPE = (28, 28, 1)
# {split: its name in the file}
_PARTS = {"train": "train", "validation": "valid", "test": "test"}


def load(dir: str = "", cache: str = "", validation: int = 0) -> tuple[DataSpec, dict]:
    """Read a file of packed bits, or else TensorFlow Datasets' `binarized_mnist`.

    Args:
      dir: folder with binarized_mnist_packed.npz, where `train`, `valid` and `test` are uint8 [N, 98], eight pixels a
        byte; by default $AE_JAX_DATA_DIR/mnist_static. Without such a folder, TensorFlow Datasets is asked.
      cache: folder for arrays that TensorFlow Datasets decoded; by default ~/.cache/ae_jax, or below $XDG_CACHE_HOME.
      validation: whether to return the set's own 10,000 validation images, if not 0. They are never trained on.

    Returns:
      The DataSpec, and {"train", "validation"?, "test"}: {"x": [N, 28, 28, 1] uint8}, without labels.

    Raises:
      UserError: the file is missing or damaged, or TensorFlow Datasets cannot prepare the set.
    """
    wanted = {name: part for name, part in _PARTS.items() if validation or name != "validation"}
    root = os.environ.get("AE_JAX_DATA_DIR")
    folder = Path(dir or Path(root or ".", "mnist_static")).expanduser()
    if dir or (root and folder.is_dir()):
        return DataSpec(_SHAPE, levels=2), _unpacked(folder / FILE, wanted)
    return tfds.load(_TFDS_NAME, cache=cache, validation=validation)


def _unpacked(file: Path, wanted: dict[str, str]) -> dict[str, dict[str, np.ndarray]]:
    """Return {split: {"x"}} of a file of packed bits."""
    try:
        with np.load(file) as packed:
            rows = {name: packed[part] for name, part in wanted.items()}
            bits = {name: np.unpackbits(values, axis=1) for name, values in rows.items()}
            return {name: {"x": values.reshape(-1, *_SHAPE)} for name, values in bits.items()}
    except (*errors.DAMAGED, KeyError, TypeError) as error:
        raise UserError(
            f"{file} cannot be read: {errors.first_line(error)}\n"
            "expected uint8 arrays train, valid and test [N, 98]; unset --config.data.dir to ask TensorFlow Datasets"
        ) from None
