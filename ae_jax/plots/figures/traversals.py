"""What each dimension of a code does: one is varied at a time, the others stay at an example's.

Higgins et al. 2017, "beta-VAE", ICLR, figures 1 to 4.
"""

import functools

import numpy as np

from ae_jax.core.errors import UserError
from ae_jax.plots import queries, style


def arrays(
    model, variables, data, key, *, dims: int = 10, steps: int = 11, span: float = 3.0, example: int = 0
) -> dict[str, np.ndarray]:
    """The likelihood's means, "decoded" [R, steps, *shape], with "dimension" [R] of the code set to "value" [R, steps].

    The R rows, `dims` at most, are the most active dimensions, the first the most: by "kl" [R], KL(q(z_d|x) || p(z_d))
    in nats averaged over the examples, or where that has no closed form by "deviation" [R] of the code over them.
    span: how far to go to either side, in standard deviations: those of N(0, 1) where that is the prior, else those of
        each dimension over the examples, about its mean; "offset" [steps] has them.
    example: the number of the one whose code the other dimensions stay at, and whose class.
    """
    queries.at_least(1, dims=dims)
    queries.at_least(2, steps=steps)
    count = data.test.num_examples
    if not 0 <= example < count or span <= 0:
        expected = f"expected an example from 0 to {count - 1} and a positive span"
        raise UserError(f"example is {example}, span is {span}\n{expected}")

    found = queries.gather(functools.partial(queries.code_and_rate, model), variables, data.test, key, count)
    codes, (measure, activity) = found["code"], queries.activity(found)
    chosen = np.argsort(-activity, kind="stable")[:dims]
    offset = np.linspace(-span, span, steps)
    if queries.has_standard_prior(model):
        value, xlabel = np.tile(offset, (len(chosen), 1)), "value of the dimension"
    else:
        value = codes.mean(axis=0)[chosen, None] + offset[None] * codes.std(axis=0)[chosen, None]
        xlabel = "standard deviations from the dimension's mean"
    z = np.tile(codes[example], (len(chosen), steps, 1))
    z[np.arange(len(chosen)), :, chosen] = value
    decoded = queries.decode(model, variables, z, found["label"][example] if "label" in found else 0)
    return {
        "decoded": decoded,
        "dimension": chosen,
        measure: activity[chosen],
        "value": value,
        "offset": offset,
        "xlabel": np.array(xlabel),
        "limits": style.limits(model.spec, decoded),
    }


@style.styled
def figure(arrays):
    """A row a dimension, labelled with its KL where it is known."""
    nats = [f"  {kl:.2f} nats" for kl in arrays["kl"]] if "kl" in arrays else [""] * len(arrays["dimension"])
    return style.grid(
        arrays["decoded"],
        arrays["limits"],
        row_labels=[f"$z_{{{d}}}${text}" for d, text in zip(arrays["dimension"], nats, strict=True)],
        column_labels=[style.number(offset, ".2g") for offset in arrays["offset"]],
        xlabel=str(arrays["xlabel"]),
    )
