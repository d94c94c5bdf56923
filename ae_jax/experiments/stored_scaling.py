"""The scaling of a run's data, in a file of its own.

That of a wide table is long, and its numbers are kept exactly.
"""

import dataclasses
import io
import os
import pathlib
from typing import Any

import numpy as np

from ae_jax.core import errors
from ae_jax.core.errors import UserError
from ae_jax.core.types import DataSpec
from ae_jax.data import scaling


def without(spec: DataSpec) -> dict[str, Any]:
    """Return the fields of a DataSpec as config.json has them, without the scaling."""
    return {**dataclasses.asdict(spec), "mean": (), "deviation": ()}


def packed(spec: DataSpec) -> bytes:
    """Return the contents of the file: an .npz of `offset` and `divisor`, float64 [C]."""
    with io.BytesIO() as file:
        np.savez(file, offset=np.array(spec.mean), divisor=np.array(spec.deviation))
        return file.getvalue()


def merged(path: pathlib.Path, config: Any, spec: DataSpec) -> DataSpec:
    """Return the DataSpec of config.json with the scaling in the file, if there is one.

    Raises:
      UserError: the run scales its data, and the file is lost or damaged.
    """
    if not os.path.exists(path):
        # Other words are refused where the config is checked, whose error says more.
        is_scaled = config.data.scale in scaling.SCALES and config.data.scale != "none"
        if is_scaled and not spec.mean:
            raise UserError(f"{path} is missing\nexpected the file that training wrote; copy it back")
        return spec
    try:
        with np.load(path) as stored:
            mean, deviation = tuple(stored["offset"].tolist()), tuple(stored["divisor"].tolist())
    except (*errors.DAMAGED, KeyError) as error:
        reason = errors.first_line(error)
        raise UserError(f"{path} cannot be read: {reason}\nexpected the file that training wrote") from None
    return dataclasses.replace(spec, mean=mean, deviation=deviation)
