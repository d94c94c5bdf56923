"""The distribution of all codes together beside the prior that they are meant to follow."""

import jax
import numpy as np

from ae_jax.core.errors import UserError
from ae_jax.evaluation.metrics import mmd_to_prior
from ae_jax.plots import queries, style


def arrays(model, variables, data, key, *, count: int = 5000) -> dict[str, np.ndarray]:
    """The codes of `count` examples, "codes" [N, 2], with "label" [N] where there are classes, and as many
    draws of the "prior" [N, 2] (N(0, I) for a model without one).

    Raises UserError unless the code has two dimensions.
    """
    queries.at_least(1, count=count)

    def per_example(variables, batch, key):
        return {"codes": queries.encode(model, variables, batch, key), **queries.classes(batch)}

    key_codes, key_prior = jax.random.split(key)
    found = queries.gather(per_example, variables, data.test.spread(count)[0], key_codes, count)
    n, dims = found["codes"].shape
    if dims != 2:
        raise UserError(
            f"figure 'code_and_prior' needs a code of 2 dimensions, and this one has {dims}\ntry --figures=scatter"
        )
    return {**found, "prior": np.asarray(mmd_to_prior.prior_draws(model, variables, key_prior, (n, 2)))}


@style.styled
def figure(arrays):
    """Two panels with the same axes."""
    drawing = style.new(6, 3)
    panels = drawing.subplots(1, 2, sharex=True, sharey=True)
    colour = style.of_classes(arrays["label"]) if "label" in arrays else style.PALETTE[0]
    for axes, name, c in zip(panels, ("codes", "prior"), (colour, "#666666"), strict=True):
        axes.scatter(*arrays[name].T, s=2, c=c, linewidths=0, rasterized=True)
        axes.set(title=name, xlabel="$z_0$", ylabel="$z_1$", aspect="equal")
    return drawing
