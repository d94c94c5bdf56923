"""New examples, decoded from codes drawn from the prior."""

import math

import numpy as np

from ae_jax.core.errors import UserError
from ae_jax.plots import queries, style


def arrays(model, variables, data, key, *, count: int = 100) -> dict[str, np.ndarray]:
    """`count` "samples" [N, *shape]: means of the likelihood; of each class in turn, for a model that reads it.

    Raises UserError for a model without a prior.
    """
    queries.at_least(1, count=count)
    if not queries.has_prior(model):
        raise UserError(
            "figure 'samples' needs a model with a prior, and this one has none\n"
            "try --figures=reconstructions,interpolations,traversals"
        )
    samples = queries.generate(model, variables, key, count)
    return {"samples": samples, "limits": style.limits(model.spec, samples)}


@style.styled
def figure(arrays):
    """As near a square as the count allows."""
    samples = arrays["samples"]
    columns = math.ceil(math.sqrt(len(samples)))
    rows = [samples[start : start + columns] for start in range(0, len(samples), columns)]
    return style.grid(rows, arrays["limits"])
