"""New examples, decoded from codes drawn from the prior."""

import math

import numpy as np

from ae_jax import figures, plots
from ae_jax.errors import UserError


def arrays(model, variables, data, key, *, count: int = 100) -> dict[str, np.ndarray]:
    """`count` "samples" [N, *shape]: means of the likelihood; of each class in turn, for a model that reads it.

    Raises UserError for a model without a prior.
    """
    plots.at_least(1, count=count)
    if not plots.has_prior(model):
        raise UserError(
            "figure 'samples' needs a model with a prior, and this one has none\n"
            "try --figures=reconstructions,interpolations,traversals"
        )
    samples = plots.generate(model, variables, key, count)
    return {"samples": samples, "limits": figures.limits(model.spec, samples)}


@figures.styled
def figure(arrays):
    """As near a square as the count allows."""
    samples = arrays["samples"]
    columns = math.ceil(math.sqrt(len(samples)))
    rows = [samples[start : start + columns] for start in range(0, len(samples), columns)]
    return figures.grid(rows, arrays["limits"])
