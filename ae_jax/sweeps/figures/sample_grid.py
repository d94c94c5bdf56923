"""Samples, or decoded 2-D manifolds, of one run for each pair of values of two axes."""

import numpy as np

from ae_jax.core import errors
from ae_jax.core.errors import UserError
from ae_jax.plots import style
from ae_jax.plots.figures import manifold, samples
from ae_jax.sweeps import grouping

_KINDS = ("samples", "manifold")
_MOST_PANELS = 100
_GAP = 28  # examples are one pixel apart for every so many pixels of their height
_MARGIN = 0.6  # inches for labels


def arrays(survey, key, *, kind: str = "samples", x: str = "", y: str = "", size: int = 5) -> dict[str, np.ndarray]:
    """Draw examples from the models of a sweep, with the same random draws for all runs.

    Args:
      survey: the sweep.
      key: random key of the samples.
      kind: "samples" from the prior, or "manifold" for the decoded plane of a 2-D latent space.
      x: the config key whose values are the columns; by default the first axis of the sweep that is not the seed.
      y: the config key whose values are the rows; by default the next axis of the sweep that is not the seed.
      size: how many rows and columns of examples there are of each run.

    Returns:
      "panels" [Y, X, H', W', C] in [0, 1], each with size x size examples of the first run with the values "x" [X] and
      "y" [Y]. Gaps between examples and panels without a run are nan. "axes" [2] are the keys, the second "" for a
      single row.

    Raises:
      UserError: if the kind or an axis is unknown, for examples that are not images, for too many panels, or if a model
        cannot be drawn in this way.
    """
    if kind not in _KINDS:
        raise errors.unknown("kind", kind, _KINDS)
    axis_x = grouping.axis(survey, x, [y])
    axis_y = grouping.axis(survey, y, [axis_x])
    columns = grouping.values(survey, axis_x)
    # Seeds do not become rows of themselves: without a second axis, the grid has one row, of the first seed.
    one_row = not y and axis_y in (axis_x, grouping.SEED)
    rows = [""] if one_row else grouping.values(survey, axis_y)
    grouping.check_count(len(rows) * len(columns), _MOST_PANELS, "panels")
    panels = {}
    for run in survey.runs:
        row = 0 if one_row else rows.index(run.axes[axis_y])
        place = (row, columns.index(run.axes[axis_x]))
        if place not in panels:
            panels[place] = _panel(run.trained(), kind, key, size)
    first = next(iter(panels.values()))
    shown = np.full((len(rows), len(columns), *first.shape), np.nan, first.dtype)
    for place, panel in panels.items():
        shown[place] = panel
    axes = np.array([axis_x, "" if one_row else axis_y])
    return {"panels": shown, "x": np.array(columns), "y": np.array(rows), "axes": axes}


def _panel(trained, kind, key, size):
    """Return size x size examples of a run as one image [H', W', C] in [0, 1], with nan in gaps."""
    model, data = trained.experiment.model, trained.data
    if len(model.spec.shape) != 3:
        raise UserError(
            f"figure 'sample_grid' draws images, and these examples have shape {model.spec.shape}\n"
            "use --figures=metric_curve"
        )
    if kind == "manifold":
        made = manifold.arrays(model, trained.variables, data, key, size=size)
        # The first row of the manifold belongs to the lowest latent, which is drawn at the bottom.
        examples = made["decoded"][::-1]
    else:
        made = samples.arrays(model, trained.variables, data, key, count=size * size)
        examples = made["samples"].reshape(size, size, *model.spec.shape)
    low, high = made["limits"]
    shades = np.clip((examples - low) / max(high - low, 1e-12), 0, 1)
    gap = -(-model.spec.shape[0] // _GAP)
    framed = np.pad(shades, ((0, 0), (0, 0), (0, gap), (0, gap), (0, 0)), constant_values=np.nan)
    rows, columns, height, width, channels = framed.shape
    panel = framed.swapaxes(1, 2).reshape(rows * height, columns * width, channels)
    return panel[:-gap, :-gap]


@style.styled
def figure(arrays):
    """Draw the panels in a grid.

    Args:
      arrays: what `arrays` returned.
    """
    panels = arrays["panels"]
    rows, columns = panels.shape[:2]
    width = min(1.6, (style.WIDTH - _MARGIN) / columns, (style.HEIGHT - _MARGIN) / rows)
    height = width * rows * panels.shape[2] / panels.shape[3]
    drawing = style.new(width * columns + _MARGIN, height + _MARGIN)
    grid = drawing.subplots(rows, columns, squeeze=False)
    for (i, j), axes in np.ndenumerate(grid):
        panel = panels[i, j]
        if panel.shape[-1] != 3:
            panel = panel.mean(axis=-1)
        axes.imshow(panel, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
        if i == rows - 1:
            axes.set_xlabel(str(arrays["x"][j]))
        if j == 0:
            axes.set_ylabel(str(arrays["y"][i]))
    drawing.supxlabel(str(arrays["axes"][0]), fontsize="medium")
    drawing.supylabel(str(arrays["axes"][1]), fontsize="medium")
    return drawing
