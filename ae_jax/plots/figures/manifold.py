"""The manifold of a two-dimensional latent space: a grid of latents, decoded.

Kingma and Welling 2014, "Auto-encoding variational Bayes", arXiv:1312.6114, figure 4.
"""

import numpy as np

from ae_jax.core.errors import UserError
from ae_jax.evaluation import requirements
from ae_jax.evaluation.metrics import mmd_to_prior
from ae_jax.plots import queries, style

# How many draws of a prior give its quantiles.
_DRAWS = 10_000


def arrays(model, variables, data, key, *, size: int = 20, mass: float = 0.95, label: int = 0) -> dict[str, np.ndarray]:
    """Decode a grid of two-dimensional latents.

    If the prior is N(0, I), the values of a coordinate are equally probable. Otherwise they are equally spaced between
    quantiles of the prior, or between quantiles of the examples' latents for a model without a prior. Only the latter
    reads data.

    Args:
      model: the trained model.
      variables: the parameters and other collections of the model.
      data: the data of the evaluation.
      key: random key.
      size: how many values each coordinate takes.
      mass: the central share of each coordinate's distribution that the grid covers.
      label: the class, for a model that reads the label.

    Returns:
      "decoded" [size, size, *shape], means of the likelihood; "z1" [size], the value of a row; "z0" [size], the value
      of a column; "limits".

    Raises:
      UserError: unless the latent has two dimensions.
    """
    requirements.at_least(2, manifold_size=size)
    if not 0 < mass < 1:
        raise UserError(f"--manifold_mass is {mass}\nuse a number between 0 and 1")
    if not 0 <= label < max(model.spec.classes, 1):
        raise UserError(f"--manifold_label is {label}\nuse a class from 0 to {max(model.spec.classes, 1) - 1}")
    dims = queries.dimensions(model, variables)
    if dims != 2:
        raise UserError(
            f"figure 'manifold' needs a latent of 2 dimensions, and this one has {dims}\nuse --figures=traversals"
        )
    lower, upper = (1 - mass) / 2, (1 + mass) / 2
    if queries.has_standard_prior(model):
        from scipy.stats import norm

        z0 = z1 = norm.ppf(np.linspace(lower, upper, size))
    else:
        low, high = np.quantile(_codes(model, variables, data, key), (lower, upper), axis=0)
        z0, z1 = np.linspace(low, high, size).T
    decoded = queries.decode(model, variables, np.stack(np.meshgrid(z0, z1), axis=-1), label)
    return {"decoded": decoded, "z0": z0, "z1": z1, "limits": style.limits(model.spec, decoded)}


def _codes(model, variables, data, key):
    """Return latents [N, 2] of the prior or, without one, of the examples."""
    if queries.has_prior(model):
        return mmd_to_prior.prior_draws(model, variables, key, (_DRAWS, 2))

    def per_example(variables, batch, key):
        return {"code": queries.encode(model, variables, batch, key)}

    return queries.gather(per_example, variables, data.test, key, data.test.num_examples)["code"]


@style.styled
def figure(arrays):
    """Draw the grid, with z0 growing to the right and z1 upwards, as in a scatter plot."""
    return style.grid(
        arrays["decoded"][::-1],
        arrays["limits"],
        row_labels=[style.number(z, ".2f") for z in arrays["z1"][::-1]],
        column_labels=[style.number(z, ".2f") for z in arrays["z0"]],
        xlabel="$z_0$",
        ylabel="$z_1$",
    )
