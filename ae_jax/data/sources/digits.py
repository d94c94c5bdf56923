"""The 1,797 real 8x8 digits that ship inside scikit-learn.

They have 17 grey levels and 10 classes, and need no network and no files.
"""

import importlib.util
from pathlib import Path

import numpy as np

from ae_jax.core.types import DataSpec

TEST = 297  # the last ones in file order


def load() -> tuple[DataSpec, dict]:
    """Read the digits of the UCI Optical Recognition set: x [N, 8, 8, 1], values 0 to 16.

    The last 297 are the test split.
    """
    # Importing scikit-learn takes seconds, parsing the table that it ships takes milliseconds.
    package = importlib.util.find_spec("sklearn")
    assert package is not None and package.submodule_search_locations, "scikit-learn is a dependency"
    file = Path(package.submodule_search_locations[0], "datasets", "data", "digits.csv.gz")
    table = np.loadtxt(file, delimiter=",", dtype=np.uint8)
    arrays: dict[str, np.ndarray] = {"x": table[:, :-1].reshape(-1, 8, 8, 1), "label": table[:, -1].astype(np.int32)}
    splits = {
        "train": {key: value[:-TEST] for key, value in arrays.items()},
        "test": {key: value[-TEST:] for key, value in arrays.items()},
    }
    return DataSpec(shape=(8, 8, 1), classes=10, levels=17), splits
