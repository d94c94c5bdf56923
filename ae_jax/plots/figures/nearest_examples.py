"""Samples beside their nearest training examples, which show whether a model copies."""

import numpy as np

from ae_jax.core.errors import UserError
from ae_jax.evaluation import requirements
from ae_jax.plots import queries, style
from ae_jax.plots.figures import generation


def arrays(model, variables, data, key, *, sampler: str = "prior", count: int = 10) -> dict[str, np.ndarray]:
    """Draw samples, and find the training example with the least squared distance to each.

    Args:
      model: the trained model.
      variables: the parameters and other collections of the model.
      data: the data of the evaluation.
      key: random key.
      sampler: "prior", the model's own; or the directory of a run that was trained on the latents of this one.
      count: how many samples are drawn.

    Returns:
      "samples" and "nearest" [N, *shape]; "distance" [N], the root mean squared difference of each pair; "limits".

    Raises:
      UserError: for a model without a prior, where no sampler is named.
    """
    requirements.at_least(1, nearest_examples_count=count)
    if sampler != "prior":
        samples = generation.through(sampler, model, variables, data, key, count)
    elif queries.has_prior(model):
        samples = queries.generate(model, variables, key, count)
    else:
        raise UserError(
            "figure 'nearest_examples' needs samples, and this model has no prior to draw them from\n"
            "use --nearest_examples_sampler=RUN, a run on the latents of this one"
        )
    flat = samples.reshape(count, -1)
    least, nearest = np.full(count, np.inf), np.zeros_like(samples)
    for batch in data.corpus:
        x = np.asarray(batch["x"])[np.asarray(batch["mask"]) > 0]
        rows = x.reshape(len(x), -1)
        squares = np.square(flat).sum(axis=1)[:, None] - 2 * flat @ rows.T + np.square(rows).sum(axis=1)[None]
        best = squares.argmin(axis=1)
        closer = squares[np.arange(count), best] < least
        least[closer], nearest[closer] = squares[closer, best[closer]], x[best[closer]]
    distance = np.sqrt(least.clip(0) / flat.shape[1])
    limits = style.limits(model.spec, samples)
    return {"samples": samples, "nearest": nearest, "distance": distance, "limits": limits}


@style.styled
def figure(arrays):
    """Draw a column for each sample, with the distance above it."""
    labels = [style.number(each, ".2f") for each in arrays["distance"]]
    rows = [arrays["samples"], arrays["nearest"]]
    return style.grid(rows, arrays["limits"], row_labels=["sample", "nearest"], column_labels=labels)
