"""Move the latents of melodies in the direction of an attribute, such as density."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ae_jax.core import lookup
from ae_jax.core.errors import UserError
from ae_jax.data.music import attributes
from ae_jax.experiments import batched, using
from ae_jax.experiments.analysis import Trained

# The number of training examples from which the direction of an attribute is made.
_CORPUS = 10_000


def shift(
    trained: Trained,
    amounts: Sequence[tuple[str, float]],
    *,
    label: Any = None,
    key: Any = None,
    batch_size: int = 500,
) -> np.ndarray:
    """Return what is added to latents for more of some attributes, [D].

    Args:
      trained: the opened run of a model of melodies.
      amounts: (attribute, amount), ...: an attribute is the name of a function of ae_jax/data/music/attributes.py. The
        amount 1 goes from the quarter of the training examples with the least of it to the quarter with the most.
      label: the classes or vectors with which a conditional model encodes the training examples; by default their own.
      key: the random key; by default that of the run's seed.
      batch_size: the number of examples in a device call.

    Raises:
      UserError: the examples are no melodies, or all training examples have as much of an attribute.
    """
    if trained.spec.kind != "events":
        raise UserError("--attribute is for melodies, and this model has others\nleave it out")
    functions = [lookup.function(attributes, name, ("events",), "attribute") for name, _ in amounts]
    corpus = batched.gathered(trained.data.corpus.spread(_CORPUS)[0])
    if label is None and trained.model.reads_label:
        label = batched.by_name(trained, corpus.get("label"))
    codes = using.encode(trained, corpus["inputs"], label=label, key=key, batch_size=batch_size)
    melodies = corpus["inputs"].astype(np.uint8)
    total = np.zeros(codes.shape[1:], codes.dtype)
    for (name, amount), function in zip(amounts, functions, strict=True):
        values = function(melodies)
        if not np.ptp(values):
            raise UserError(
                f"--attribute={name} has no direction: it is {values[0]:g} in all melodies of the training data\n"
                "expected another attribute, or --data of which some have more"
            )
        total += amount * attributes.direction(values, codes)
    return total
