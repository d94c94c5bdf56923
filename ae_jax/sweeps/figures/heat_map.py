"""A metric over two axes: each cell shows the mean over all runs with its two values."""

import numpy as np

from ae_jax.core.errors import UserError
from ae_jax.plots import style
from ae_jax.sweeps import grouping

_CELL = 0.55  # inches
_MOST_NUMBERS = 100  # with more cells, numbers in them would not be legible
_DARK = 0.6  # below this part of the colour scale, white numbers are easier to read than black ones


def arrays(survey, key, *, metric: str = "", x: str = "", y: str = "") -> dict[str, np.ndarray]:
    """Compute means over runs, for all pairs of values of two axes.

    Args:
      survey: the sweep.
      key: not used.
      metric: METRIC at the end of training, or best.METRIC; by default the config's criterion.
      x: the config key whose values are the columns; by default the first axis of the sweep that is not the seed.
      y: the config key whose values are the rows; by default the next axis of the sweep that is not the seed.

    Returns:
      "mean" [Y, X], nan where there is no run; the values "x" [X] and "y" [Y]; "metric" and the keys "axes" [2].

    Raises:
      UserError: if the metric or an axis is unknown, or if the sweep has only one axis.
    """
    name, scores = grouping.metric(survey, metric)
    axis_x = grouping.axis(survey, x, [y])
    axis_y = grouping.axis(survey, y, [axis_x])
    if axis_x == axis_y or axis_y not in survey.runs[0].axes:
        raise UserError("figure 'heat_map' needs two axes\nuse --figures=metric_curve")
    columns, rows = grouping.values(survey, axis_x), grouping.values(survey, axis_y)
    column_of = np.array([columns.index(run.axes[axis_x]) for run in survey.runs])
    row_of = np.array([rows.index(run.axes[axis_y]) for run in survey.runs])
    mean = np.full((len(rows), len(columns)), np.nan)
    for cell in np.ndindex(*mean.shape):
        found = scores[(row_of == cell[0]) & (column_of == cell[1]) & np.isfinite(scores)]
        if len(found):
            mean[cell] = found.mean()
    return {
        "mean": mean,
        "x": np.array(columns),
        "y": np.array(rows),
        "metric": np.array(name),
        "axes": np.array([axis_x, axis_y]),
    }


@style.styled
def figure(arrays):
    """Draw the map, with the number in every cell. The values of y grow upwards.

    Args:
      arrays: what `arrays` returned.
    """
    mean = arrays["mean"]
    width, height = _length(mean.shape[1], style.WIDTH - 1.6), _length(mean.shape[0], style.HEIGHT - 1)
    drawing = style.new(width + 1.6, height + 0.6)
    axes = drawing.subplots()
    image = axes.imshow(mean, origin="lower", aspect="auto", cmap="viridis")
    low, high = np.nanmin(mean), np.nanmax(mean)
    if mean.size <= _MOST_NUMBERS:
        for (i, j), value in np.ndenumerate(mean):
            dark = value < low + _DARK * (high - low)
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


def _length(cells: int, most: float) -> float:
    """Return the length in inches of a side with this number of cells, at most `most`."""
    return float(np.clip(_CELL * cells, 1.2, most))
