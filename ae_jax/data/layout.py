"""The axes of a user's array: which of them are examples, places and channels.

Models read examples with channels last. An array in another layout is transposed when it is read, and results are
transposed back before they are written.
"""

from typing import Any

import numpy as np

from ae_jax.core import errors
from ae_jax.core.errors import UserError
from ae_jax.data.formats import say_once

# {layout: its axes in the order of the model's examples}. N counts examples, T steps of time, F features, C channels.
_ORDERS = {
    "NHWC": (0, 1, 2, 3),
    "NCHW": (0, 2, 3, 1),
    "NHW": (0, 1, 2),
    "NTC": (0, 1, 2),
    "NCT": (0, 2, 1),
    "NF": (0, 1),
    "NDHWC": (0, 1, 2, 3, 4),
}
LAYOUTS = tuple(_ORDERS)
# How an array is read by default, by its number of axes.
_DEFAULTS = {2: "NF", 3: "NHW", 4: "NHWC", 5: "NDHWC"}
# The numbers of channels that images and volumes have: those of an axis that seems to be channels, and those of a last
# axis that may be channels.
_CHANNELS = (1, 3, 4)
_MAY_BE_CHANNELS = (1, 2, 3, 4)


def check(layout: str) -> None:
    """Raise UserError unless `layout` is one of LAYOUTS, or empty."""
    if layout and layout not in _ORDERS:
        raise errors.unknown("data.layout", layout, LAYOUTS)


def of(x: Any, layout: str = "", name: str = "the array") -> str:
    """Return the layout of an array: the given one, or the default for its number of axes.

    Args:
      x: the array, of which only the shape is read.
      layout: one of LAYOUTS; "" for the default.
      name: what an error calls the array.

    Raises:
      UserError: the array has another number of axes, or its last axis cannot be channels and its second one can.
    """
    check(layout)
    shape = list(x.shape)
    if layout:
        if len(layout) != x.ndim:
            raise UserError(f"{name} has shape {shape}, and data.layout={layout} has {len(layout)} axes\n{_expected()}")
        return layout
    if x.ndim not in _DEFAULTS:
        raise UserError(f"{name} has shape {shape}\n{_expected()}")
    if x.ndim >= 4 and x.shape[1] in _CHANNELS and x.shape[-1] not in _MAY_BE_CHANNELS:
        if x.ndim == 4:
            remedy = "set --config.data.layout=NCHW for channels first, or NHWC where the last axis is channels"
        else:
            remedy = "move the channels to the end with np.moveaxis(x, 1, -1), or set --config.data.layout=NDHWC"
        raise UserError(f"{name} has shape {shape}, whose channels seem to be the second axis\n{remedy}")
    return _DEFAULTS[x.ndim]


def _expected() -> str:
    return f"expected [N, ...] in one of the layouts {', '.join(LAYOUTS)}"


def ambiguity(x: Any) -> str:
    """Return how an array without a layout is read, where it may be read otherwise; else "".

    Args:
      x: the array, of which shape and type are read.
    """
    if x.ndim == 3 and np.issubdtype(x.dtype, np.floating):
        return f"as grey images of {x.shape[1]} x {x.shape[2]}; --config.data.layout=NTC or NCT reads series"
    if x.ndim == 4 and x.shape[-1] not in _MAY_BE_CHANNELS:
        return f"as images of {x.shape[-1]} channels; --config.data.layout=NCHW reads channels first"
    if x.ndim == 4 and x.shape[1] in _CHANNELS and x.shape[2] != x.shape[1]:
        return f"as images of {x.shape[1]} x {x.shape[2]}; --config.data.layout=NCHW reads channels first"
    return ""


def say_how_read(x: Any, name: str) -> None:
    """Print, once, how an array is read, where its shape allows another reading."""
    if found := ambiguity(x):
        say_once(f"{name} has shape {list(x.shape)} and is read {found}")


def to_examples(x: Any, layout: str) -> Any:
    """Return an array in a layout as examples with channels last.

    The result is a view, also of an array that is mapped from a file.

    Args:
      x: the array.
      layout: one of LAYOUTS, which has as many axes.
    """
    return x[..., None] if layout == "NHW" else x.transpose(_ORDERS[layout])


def from_examples(x: np.ndarray, layout: str) -> np.ndarray:
    """Return examples in a layout: the inverse of `to_examples`.

    Args:
      x: examples [N, ...] with channels last.
      layout: one of LAYOUTS.
    """
    # The argsort of a permutation is its inverse.
    return x[..., 0] if layout == "NHW" else x.transpose(np.argsort(_ORDERS[layout]))
