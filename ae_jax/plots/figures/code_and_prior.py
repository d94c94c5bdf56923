"""The aggregate posterior of a two-dimensional latent beside the prior."""

import jax
import numpy as np

from ae_jax.core.errors import UserError
from ae_jax.evaluation import requirements
from ae_jax.evaluation.metrics import mmd_to_prior
from ae_jax.plots import queries, style


def arrays(model, variables, data, key, *, count: int = 5000) -> dict[str, np.ndarray]:
    """Encode examples, and draw as many latents from the prior.

    Args:
      model: the trained model.
      variables: the parameters and other collections of the model.
      data: the data of the evaluation.
      key: random key.
      count: how many examples are encoded, evenly spread over the split.

    Returns:
      "codes" [N, 2]; "label" [N] if there are classes; "prior" [N, 2], draws of the prior, or of N(0, I) for a model
      without one.

    Raises:
      UserError: unless the latent has two dimensions.
    """
    requirements.at_least(1, code_and_prior_count=count)

    def per_example(variables, batch, key):
        return {"codes": queries.encode(model, variables, batch, key), **queries.classes(batch)}

    key_codes, key_prior = jax.random.split(key)
    found = queries.gather(per_example, variables, data.test.spread(count)[0], key_codes, count)
    n, dims = found["codes"].shape
    if dims != 2:
        raise UserError(
            f"figure 'code_and_prior' needs a latent of 2 dimensions, and this one has {dims}\nuse --figures=scatter"
        )
    return {**found, "prior": np.asarray(mmd_to_prior.prior_draws(model, variables, key_prior, (n, 2)))}


@style.styled
def figure(arrays):
    """Draw two scatter plots with the same axes."""
    drawing = style.new(6, 3)
    panels = drawing.subplots(1, 2, sharex=True, sharey=True)
    colour = style.of_classes(arrays["label"]) if "label" in arrays else style.PALETTE[0]
    contents = (("codes", "latents", colour), ("prior", "prior", "#666666"))
    for axes, (name, title, c) in zip(panels, contents, strict=True):
        # Thousands of points as vectors would make a PDF large and slow.
        axes.scatter(*arrays[name].T, s=2, c=c, linewidths=0, rasterized=True)
        axes.set(title=title, xlabel="$z_0$", ylabel="$z_1$", aspect="equal")
    return drawing
