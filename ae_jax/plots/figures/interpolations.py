"""Geodesics of the latent space from one example to another, decoded."""

import numpy as np

from ae_jax.core.errors import UserError
from ae_jax.plots import queries, style


def arrays(model, variables, data, key, *, count: int = 10, steps: int = 10) -> dict[str, np.ndarray]:
    """The first `count` pairs of neighbours in the data, "start" and "end" [N, *shape]; between them the likelihood's
    means, "path" [N, steps, *shape], at points of the latent space's geodesic (for a flat space, a straight line),
    "t" [steps] from 0 to 1.
    The label, for a model that reads it, stays that of the start.
    """
    queries.at_least(1, count=count)
    queries.at_least(2, steps=steps)
    if data.test.num_examples < 2:
        raise UserError("figure 'interpolations' needs two examples, and there is one\ntry --figures=traversals")

    def per_example(variables, batch, key):
        return {"x": batch["x"], "code": queries.encode(model, variables, batch, key), **queries.label(batch)}

    found = queries.gather(per_example, variables, data.test, key, 2 * count)
    even = len(found["x"]) // 2 * 2
    start, end = found["x"][:even:2], found["x"][1:even:2]
    t = np.linspace(0, 1, steps)
    codes = np.asarray(model.space.geodesic(found["code"][:even:2], found["code"][1:even:2], t)).swapaxes(0, 1)
    labels = found["label"][:even:2, None] if "label" in found else 0
    path = queries.decode(model, variables, codes, labels)
    return {"start": start, "path": path, "end": end, "t": t, "limits": style.limits(model.spec, start, end)}


@style.styled
def figure(arrays):
    """A row a pair: the first example, the path, the second example; a column a pair for melodies, which are wide."""
    steps = len(arrays["t"])
    rows = np.concatenate([arrays["start"][:, None], arrays["path"], arrays["end"][:, None]], axis=1)
    labels = ["start", *(style.number(t, ".2g") for t in arrays["t"]), "end"]
    if not len(arrays["limits"]):
        return style.grid(rows.swapaxes(0, 1), arrays["limits"], row_labels=labels)
    return style.grid(
        rows,
        arrays["limits"],
        column_labels=labels,
        left=[0, *(1.3 + np.arange(steps)), 1.6 + steps],
    )
