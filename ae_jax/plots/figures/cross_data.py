"""How data-specific models are: the error of every run on the data of every run."""

import numpy as np

from ae_jax.evaluation import comparable
from ae_jax.evaluation.metrics import mse
from ae_jax.plots import style


def arrays(model, variables, data, key, *, runs: tuple = ()) -> dict[str, np.ndarray]:
    """ "mse_per_pixel" [R, R]: the model of each run (this one, then `runs`) on the test split of each; "names" [R].

    Raises UserError where one model cannot read what another does.
    """
    opened = [(model, variables, data), *comparable.opened(data, runs, model.spec, data.input_shape)]
    errors = [[mse.evaluate(m, v, other[2], key)["mse_per_pixel"] for other in opened] for m, v, _ in opened]
    return {"mse_per_pixel": np.array(errors), "names": np.array(comparable.names(runs))}


@style.styled
def figure(arrays):
    """A table: trained on, down; tested on, across."""
    errors, names = arrays["mse_per_pixel"], list(map(str, arrays["names"]))
    drawing = style.new(1.5 + 0.9 * len(names), 1 + 0.5 * len(names))
    axes = drawing.add_subplot(xlabel="tested on the data of", ylabel="trained")
    axes.imshow(np.log(errors), cmap="Blues", aspect="auto")
    middle = np.log(errors).mean()
    for (row, column), value in np.ndenumerate(errors):
        colour = "white" if np.log(value) > middle else "black"
        axes.text(column, row, f"{value:.4f}", ha="center", va="center", color=colour, fontsize=7)
    axes.set_xticks(range(len(names)), labels=names)
    axes.set_yticks(range(len(names)), labels=names)
    return drawing
