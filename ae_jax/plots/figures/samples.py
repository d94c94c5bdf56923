"""Samples: latents drawn from the prior, decoded."""

import math

import numpy as np

from ae_jax.core.errors import UserError
from ae_jax.evaluation import requirements
from ae_jax.plots import queries, style


def arrays(model, variables, data, key, *, count: int = 100) -> dict[str, np.ndarray]:
    """Decode latents that are drawn from the prior.

    Args:
      model: the trained model.
      variables: the parameters and other collections of the model.
      data: the data of the evaluation, of which nothing is read.
      key: random key.
      count: how many samples are drawn. Classes take turns if the model reads the label.

    Returns:
      "samples" [N, *shape], means of the likelihood; "limits".

    Raises:
      UserError: for a model without a prior.
    """
    requirements.at_least(1, samples_count=count)
    if not queries.has_prior(model):
        raise UserError(
            "figure 'samples' needs a model with a prior, and this model has none\n"
            "use --figures=reconstructions,interpolations,traversals"
        )
    samples = queries.generate(model, variables, key, count)
    return {"samples": samples, "limits": style.limits(model.spec, samples)}


@style.styled
def figure(arrays):
    """Draw the samples as nearly in a square as their number allows."""
    samples = arrays["samples"]
    columns = math.ceil(math.sqrt(len(samples)))
    rows = [samples[start : start + columns] for start in range(0, len(samples), columns)]
    return style.grid(rows, arrays["limits"])
