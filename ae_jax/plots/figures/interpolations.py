"""Interpolations: geodesics of the latent space from one example to another, decoded."""

import numpy as np

from ae_jax.core.errors import UserError
from ae_jax.evaluation import requirements
from ae_jax.plots import queries, style


def arrays(model, variables, data, key, *, count: int = 10, steps: int = 10) -> dict[str, np.ndarray]:
    """Decode geodesics between pairs of examples that follow each other in the data.

    In a Euclidean latent space, geodesics are straight lines. Those of a discrete latent leave the codebook between
    their ends, which the figure says. A model that reads the label is given that of the first
    example of a pair.

    Args:
      model: the trained model.
      variables: the parameters and other collections of the model.
      data: the data of the evaluation.
      key: random key.
      count: how many pairs are shown, from the first on.
      steps: how many points of a geodesic are decoded, both ends included.

    Returns:
      "start" and "end" [N, *shape]; "path" [N, steps, *shape], means of the likelihood; "t" [steps] from 0 to 1;
      "leaves_codebook", whether the path does; "limits".

    Raises:
      UserError: for data of a single example.
    """
    requirements.at_least(1, interpolations_count=count)
    requirements.at_least(2, interpolations_steps=steps)
    if data.test.num_examples < 2:
        raise UserError("figure 'interpolations' needs two examples, and there is one\nuse --figures=traversals")

    def per_example(variables, batch, key):
        return {"x": batch["x"], "code": queries.encode(model, variables, batch, key), **queries.label(batch)}

    found = queries.gather(per_example, variables, data.test, key, 2 * count)
    even = len(found["x"]) // 2 * 2
    start, end = found["x"][:even:2], found["x"][1:even:2]
    t = np.linspace(0, 1, steps)
    # The points of a geodesic are on the first axis, and `path` has the pairs there.
    codes = np.asarray(model.space.geodesic(found["code"][:even:2], found["code"][1:even:2], t)).swapaxes(0, 1)
    labels = found["label"][:even:2, None] if "label" in found else 0
    path = queries.decode(model, variables, codes, labels)
    is_discrete = model.code_spec is not None and model.code_spec.kind == "tokens"
    found = {"start": start, "path": path, "end": end, "t": t, "leaves_codebook": np.array(is_discrete)}
    return {**found, "limits": style.limits(model.spec, start, end)}


@style.styled
def figure(arrays):
    """Draw a row for each pair: the first example, the path, the second example.

    Melodies, which are wide, have a column for each pair.
    """
    steps = len(arrays["t"])
    rows = np.concatenate([arrays["start"][:, None], arrays["path"], arrays["end"][:, None]], axis=1)
    numbers = [style.number(t, ".2g") for t in arrays["t"]]
    if len(arrays["limits"]) < 2:
        labels = ["data", *(f"interpolation\nat {number}" for number in numbers), "data"]
        return style.grid(rows.swapaxes(0, 1), arrays["limits"], row_labels=labels)
    return style.grid(
        rows,
        arrays["limits"],
        column_labels=["start", *numbers, "end"],
        ylabel="path outside the codebook" if arrays["leaves_codebook"] else "",
        # A gap sets the examples apart from the path.
        left=[0, *(1.3 + np.arange(steps)), 1.6 + steps],
    )
