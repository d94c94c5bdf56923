"""Generalisation to other data: the error of each run's model on the data of each run."""

import numpy as np

from ae_jax.evaluation import comparable
from ae_jax.evaluation.metrics import mse
from ae_jax.plots import style


def arrays(model, variables, data, key, *, runs: tuple = ()) -> dict[str, np.ndarray]:
    """Measure the squared error of each run's model on the evaluated split of each run.

    Args:
      model: the trained model.
      variables: the parameters and other collections of the model.
      data: the data of the evaluation.
      key: random key.
      runs: directories of other runs to compare with.

    Returns:
      "mse_per_pixel" [R, R], rows are models and columns are data; "names" [R], this run first.

    Raises:
      UserError: if the models do not read examples or inputs of the same shape.
    """
    opened = [(model, variables, data), *comparable.opened(data, runs, model.spec, data.input_shape)]
    errors = np.zeros((len(opened), len(opened)))
    for row, (its_model, its_variables, _) in enumerate(opened):
        for column, (_, _, its_data) in enumerate(opened):
            scores = mse.evaluate(its_model, its_variables, its_data, key)
            errors[row, column] = scores["mse_per_pixel"]
    return {"mse_per_pixel": errors, "names": np.array(comparable.names(runs))}


@style.styled
def figure(arrays):
    """Draw a table: a row for each model, a column for each data set."""
    errors, names = arrays["mse_per_pixel"], list(map(str, arrays["names"]))
    drawing = style.new(1.5 + 0.9 * len(names), 1 + 0.5 * len(names))
    axes = drawing.add_subplot(xlabel="tested on the data of", ylabel="trained")
    # Colours are on a logarithmic scale, because errors on unfamiliar data are many times as large.
    axes.imshow(np.log(errors), cmap="Blues", aspect="auto")
    middle = np.log(errors).mean()
    for (row, column), value in np.ndenumerate(errors):
        colour = "white" if np.log(value) > middle else "black"
        axes.text(column, row, f"{value:.4f}", ha="center", va="center", color=colour, fontsize=7)
    axes.set_xticks(range(len(names)), labels=names)
    axes.set_yticks(range(len(names)), labels=names)
    return drawing
