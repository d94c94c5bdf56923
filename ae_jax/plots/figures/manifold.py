"""The plane of a 2-D code, decoded: Kingma and Welling 2014, arXiv:1312.6114, figure 4."""

import numpy as np

from ae_jax.core.errors import UserError
from ae_jax.evaluation.metrics import mmd_to_prior
from ae_jax.plots import queries, style

_DRAWS = 10_000  # of a prior, from which its quantiles are read


def arrays(model, variables, data, key, *, size: int = 20, mass: float = 0.95, label: int = 0) -> dict[str, np.ndarray]:
    """The likelihood's means, "decoded" [size, size, *shape], at the values "z1" [size] (rows), "z0" [size] (columns).

    mass: the central share of each coordinate's distribution that the plane covers. With a prior no data are read; of
        N(0, I) the values are equally probable, of other priors, drawn from, and of deterministic codes, read from the
        examples, they are equally spaced.
    label: the class, for a model that reads it.
    Raises UserError unless the code has two dimensions.
    """
    queries.at_least(2, size=size)
    if not 0 < mass < 1:
        raise UserError(f"mass is {mass}\nexpected a number between 0 and 1")
    if not 0 <= label < max(model.spec.classes, 1):
        raise UserError(f"label is {label}\nexpected a class from 0 to {max(model.spec.classes, 1) - 1}")
    dims = queries.dimensions(model, variables)
    if dims != 2:
        raise UserError(
            f"figure 'manifold' needs a code of size 2, and this model's has {dims}\ntry --figures=traversals"
        )
    tails = (1 - mass) / 2, (1 + mass) / 2
    if queries.has_standard_prior(model):
        from scipy.stats import norm

        z0 = z1 = norm.ppf(np.linspace(*tails, size))
    else:
        z0, z1 = np.linspace(*np.quantile(_codes(model, variables, data, key), tails, axis=0), size).T
    decoded = queries.decode(model, variables, np.stack(np.meshgrid(z0, z1), axis=-1), label)
    return {"decoded": decoded, "z0": z0, "z1": z1, "limits": style.limits(model.spec, decoded)}


def _codes(model, variables, data, key):
    """[N, 2], of the prior where there is one, else of the examples."""
    if queries.has_prior(model):
        return mmd_to_prior.prior_draws(model, variables, key, (_DRAWS, 2))
    per_example = lambda variables, batch, key: {"code": queries.encode(model, variables, batch, key)}
    return queries.gather(per_example, variables, data.test, key, data.test.num_examples)["code"]


@style.styled
def figure(arrays):
    """z0 grows to the right, z1 upwards, as in the scatter."""
    return style.grid(
        arrays["decoded"][::-1],
        arrays["limits"],
        row_labels=[style.number(z, ".2f") for z in arrays["z1"][::-1]],
        column_labels=[style.number(z, ".2f") for z in arrays["z0"]],
        xlabel="$z_0$",
        ylabel="$z_1$",
    )
