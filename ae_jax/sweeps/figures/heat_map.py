"""A metric over two axes: a cell is the mean over all runs with its two values."""

import numpy as np

from ae_jax.core.errors import UserError
from ae_jax.plots import style
from ae_jax.sweeps import grouping


def arrays(survey, key, *, metric: str = "", x: str = "", y: str = "") -> dict[str, np.ndarray]:
    """The "mean" [Y, X], nan where there is no run; the values "x" [X] and "y" [Y] of the two axes.

    Raises UserError for a sweep over one axis.
    """
    name, scores = grouping.metric(survey, metric)
    axis_x = grouping.axis(survey, x, [y])
    axis_y = grouping.axis(survey, y, [axis_x])
    if axis_x == axis_y or axis_y not in survey.runs[0].axes:
        raise UserError("figure 'heat_map' needs two axes\ntry --figures=metric_curve")
    columns, rows = grouping.values(survey, axis_x), grouping.values(survey, axis_y)
    mean = np.full((len(rows), len(columns)), np.nan)
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            here = [run.axes[axis_x] == column and run.axes[axis_y] == row for run in survey.runs]
            found = scores[np.array(here) & np.isfinite(scores)]
            mean[i, j] = found.mean() if len(found) else np.nan
    words = {"x": np.array(columns), "y": np.array(rows), "metric": np.array(name)}
    return {"mean": mean, **words, "axes": np.array([axis_x, axis_y])}


@style.styled
def figure(arrays):
    """The number stands in every cell; y grows upwards."""
    mean = arrays["mean"]
    size = lambda cells, most: float(np.clip(0.55 * cells, 1.2, most))
    drawing = style.new(size(mean.shape[1], style.WIDTH - 1.6) + 1.6, size(mean.shape[0], style.HEIGHT - 1) + 0.6)
    axes = drawing.subplots()
    image = axes.imshow(mean, origin="lower", aspect="auto", cmap="viridis")
    low, high = np.nanmin(mean), np.nanmax(mean)
    if mean.size <= 100:
        for (i, j), value in np.ndenumerate(mean):
            dark = value < low + 0.6 * (high - low)
            if np.isfinite(value):
                text = style.number(value, ".4g")
                axes.text(j, i, text, ha="center", va="center", fontsize=6, color="white" if dark else "black")
    axes.set_xticks(range(mean.shape[1]), labels=list(map(str, arrays["x"])))
    axes.set_yticks(range(mean.shape[0]), labels=list(map(str, arrays["y"])))
    axes.set(xlabel=str(arrays["axes"][0]), ylabel=str(arrays["axes"][1]))
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    drawing.colorbar(image, label=grouping.word(str(arrays["metric"])))
    return drawing
