"""Quantizers, which replace vectors by entries of a finite set, one in each file.

Each file has a module called `Quantizer`.
"""

from typing import Any, NamedTuple

import flax.linen as nn


class Quantized(NamedTuple):
    """Vectors after quantization.

    Attributes:
      values: [N, D], entries of the finite set, through which gradients reach the vectors.
      indices: int32 [N, *index_shape], the numbers of the entries.
      penalties: {name: [N]}, terms to be minimised, which training weights by `weights.NAME`.
    """

    values: Any
    indices: Any
    penalties: dict[str, Any]


class Quantizer(nn.Module):
    """Base class of quantizers, with the defaults of everything that a quantizer may declare.

    A quantizer is called as `quantizer(z, shown, train, hparams, places)` with vectors z [N, D], of which each example
    has as many in a row as `places`; `shown` [N], zero for the vectors of padding; and `hparams`, {key: number} of the
    words in `varying`. Its variables may lie in mutable collections.

    Args:
      latent_dim: D, the size of a vector.
    """

    latent_dim: int

    # Keys of the config's section `model` that are numbers, and may be schedules, as in `Family.varying`.
    varying = ()  # type: tuple[str, ...]

    @property
    def size(self) -> int:
        """Return K, the number of different values of an index."""
        raise NotImplementedError

    @property
    def index_shape(self) -> tuple[int, ...]:
        """Return the shape of the indices of one vector; () if one index tells its entry."""
        return ()

    def check(self, count: int) -> None:
        """Raise UserError if a first batch of `count` vectors is too small to start from."""

    def embed(self, indices: Any) -> Any:
        """Return entries [..., D] by their numbers, int32 [..., *index_shape]."""
        raise NotImplementedError

    @nn.nowrap
    def after_batch(self, collections: dict[str, Any], key: Any) -> dict[str, Any]:
        """Return the mutable collections of the quantizer after a training step.

        See `Family.after_batch`.
        """
        return collections


def own(collections: dict[str, Any], name: str) -> dict[str, Any]:
    """Return {collection: variables} of the submodule of this name."""
    return {collection: values[name] for collection, values in collections.items() if name in values}


def with_own(collections: dict[str, Any], name: str, new: dict[str, Any]) -> dict[str, Any]:
    """Return collections in which the variables of the submodule of this name are replaced."""
    replaced = {collection: {**collections[collection], name: values} for collection, values in new.items()}
    return {**collections, **replaced}
