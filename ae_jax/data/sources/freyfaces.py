"""The Frey faces: 1,965 grey images of 28x20 pixels from a video of one face.

They are split as in the code of Tomczak and Welling 2018, "VAE with a VampPrior": 1,565 training, 200 validation and
200 test images after a shuffle. The frames of a video are alike, so test images have close neighbours in training.
"""

import os
from pathlib import Path

import numpy as np

from ae_jax.core import errors
from ae_jax.core.errors import UserError
from ae_jax.core.types import DataSpec

FILE = "freyfaces.npz"
_SHAPE = (28, 20, 1)
_SIZES = {"train": 1565, "validation": 200, "test": 200}


def load(dir: str = "", validation: int = 0) -> tuple[DataSpec, dict]:
    """Read the images and shuffle them by `numpy.random.RandomState(0)`.

    Args:
      dir: folder with freyfaces.npz, whose `images` are uint8 [1965, 28, 20]; by default $AE_JAX_DATA_DIR/freyfaces.
      validation: whether to return the 200 validation images, if not 0. They are never trained on.

    Returns:
      The DataSpec, and {"train", "validation"?, "test"}: {"x": [N, 28, 20, 1] uint8}, without labels.

    Raises:
      UserError: the file is missing or holds something else.
    """
    file = Path(dir or Path(os.environ.get("AE_JAX_DATA_DIR", "."), "freyfaces"), FILE).expanduser()
    try:
        with np.load(file) as archive:
            images = archive["images"].reshape(sum(_SIZES.values()), *_SHAPE)
    except (*errors.DAMAGED, KeyError, TypeError) as error:
        raise UserError(
            f"{file} cannot be read: {errors.first_line(error)}\n"
            "put an .npz with `images`, uint8 [1965, 28, 20], there, or name its folder by --config.data.dir"
        ) from None
    order = np.random.RandomState(0).permutation(len(images))
    ends = np.cumsum(list(_SIZES.values()))[:-1]
    splits = {name: {"x": images[numbers]} for name, numbers in zip(_SIZES, np.split(order, ends))}
    if not validation:
        del splits["validation"]
    return DataSpec(_SHAPE), splits
