"""Latent traversals: vary one dimension of an example's latent at a time, and decode it.

Higgins et al. 2017, "beta-VAE: learning basic visual concepts with a constrained variational framework", ICLR, figures
1 to 4.
"""

import functools

import numpy as np

from ae_jax.core.errors import UserError
from ae_jax.evaluation import requirements
from ae_jax.plots import queries, style


def arrays(
    model, variables, data, key, *, dims: int = 10, steps: int = 11, span: float = 3.0, example: int = 0
) -> dict[str, np.ndarray]:
    """Vary the most active latent dimensions of an example, one at a time, and decode them.

    The activity of a dimension is its KL divergence averaged over the examples or, without closed form, the standard
    deviation of the latents over the examples.

    Args:
      model: the trained model.
      variables: the parameters and other collections of the model.
      data: the data of the evaluation.
      key: random key.
      dims: how many dimensions are varied at most, the most active first.
      steps: how many values a dimension takes.
      span: how far a dimension is varied to either side, in standard deviations. They are those of the prior if it is
        N(0, I), else those of the latents over the examples, about their mean.
      example: the number of the example whose latent and label are kept otherwise.

    Returns:
      "decoded" [R, steps, *shape], means of the likelihood; "dimension" [R]; its activity [R], "kl" in nats or
      "deviation"; "value" [R, steps] of the dimension; "offset" [steps] in standard deviations; "xlabel"; "limits".

    Raises:
      UserError: for an example that does not exist, or a span that is not positive.
    """
    requirements.at_least(1, traversals_dims=dims)
    requirements.at_least(2, traversals_steps=steps)
    count = data.test.num_examples
    if not 0 <= example < count:
        raise UserError(f"--traversals_example is {example}\nuse an example from 0 to {count - 1}")
    if span <= 0:
        raise UserError(f"--traversals_span is {span}\nuse a number above 0")

    found = queries.gather(functools.partial(queries.code_and_rate, model), variables, data.test, key, count)
    codes, (measure, activity) = found["code"], queries.activity(found)
    # A stable sort, so that dimensions of equal activity keep their order.
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
    """Draw a row for each dimension, labelled with its KL divergence where it is known."""
    labels = [f"$z_{{{d}}}$" for d in arrays["dimension"]]
    if "kl" in arrays:
        labels = [f"{label}  {kl:.2f} nats" for label, kl in zip(labels, arrays["kl"], strict=True)]
    return style.grid(
        arrays["decoded"],
        arrays["limits"],
        row_labels=labels,
        column_labels=[style.number(offset, ".2g") for offset in arrays["offset"]],
        xlabel=str(arrays["xlabel"]),
    )
