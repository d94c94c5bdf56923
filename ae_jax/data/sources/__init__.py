"""One source of examples a file. Each exposes `load(...) -> (DataSpec, splits)`.

`splits` is `{"train": {"x": [N, *spec.shape], "label": [N] int32}, "test": the same}`; "label" is [N, spec.label_dim]
float32 where labels are vectors, and absent where there are none. Arrays are NumPy's: uint8 or uint16 for pixels, uint8
for events, and floats for reals. Floats keep their precision until `ae_jax.data.scaling` has read them. Arrays may be
memory-mapped, as `numpy.memmap` or as rows of one, `ae_jax.data.mapped.Rows`; those stay where they are, and only the
examples of a batch are read.

The arguments of a source are keys of section `data`. Every section has `name`, `dir`, `path`, `split` and `cache`,
texts that are empty where unset, and `size`, a number of pixels or None. Arguments of other names have a default, or
are keyword-only.

A source may have a split "validation" of its own; where it has none, `ae_jax.data.splits` draws one from "train". A
source that takes `validation` is told how many examples are wanted, 0 for none, and decides which they are. One that
takes `format_number` is told by which rules the run reads its data, see `ae_jax.core.types.FORMAT`. One that
takes `whole` returns {"all": every example, in the order of its file} in place of its splits where that is True. A
source that needs another run declares a parameter `open_run`, which is no key: it receives the function from a run
directory to an `ae_jax.experiments.analysis.Trained`.
"""

import os
import pathlib
from collections.abc import Mapping
from typing import Any

from ae_jax.data import downloads

_SIZES = {"celeb_a": 64}  # pixels a side to which the images of a set are shrunk
_OWN_SOURCE = ("freyfaces", "mnist_static")  # sets that are read by a source of their name


def named(name: str) -> dict[str, Any]:
    """Return the keys of section `data` that read the data set of this name.

    They name $AE_JAX_DATA_DIR/NAME, in MNIST's own format, where that folder is there. MNIST and Fashion-MNIST are
    downloaded otherwise, and other sets come from TensorFlow Datasets, but for the digits and the generated images,
    which are at hand, the latents of a run, `codes`, and `melodies_2bar`, `scales_2bar` and their like.
    """
    if name in _OWN_SOURCE:
        return {"source": name}
    if (source := name.partition("_")[0]) in ("codes", "digits", "generated", "melodies", "scales"):
        return {"source": source}
    folder = pathlib.Path(os.environ.get("AE_JAX_DATA_DIR", "")) / name
    if os.environ.get("AE_JAX_DATA_DIR") and folder.is_dir():
        return {"source": "idx", "dir": str(folder.absolute())}
    if name in downloads.SETS:
        return {"source": "idx"}
    return {"source": "tfds", **({"size": _SIZES[name]} if name in _SIZES else {})}


def called(section: Mapping[str, Any]) -> str:
    """Name the data of a section `data`: NAME, or SOURCE:PLACE for a user's own."""
    name, source = section["name"], section["source"]
    place = section.get("path") or section.get("dir") or ""
    if source in (name, name.partition("_")[0], "tfds") or source == "idx" and pathlib.Path(place or name).name == name:
        return name
    return f"{source}:{place}" if place else source
