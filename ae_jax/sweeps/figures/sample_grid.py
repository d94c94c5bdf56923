"""What the models of a sweep draw: samples, or the decoded plane of a 2-D code, laid out by the values of two axes."""

import numpy as np

from ae_jax.core import errors
from ae_jax.core.errors import UserError
from ae_jax.plots import style
from ae_jax.plots.figures import manifold, samples
from ae_jax.sweeps import grouping

_KINDS = ("samples", "manifold")
_MOST_PANELS = 100


def arrays(survey, key, *, kind: str = "samples", x: str = "", y: str = "", size: int = 5) -> dict[str, np.ndarray]:
    """What is drawn, in [0, 1]: "panels" [Y, X, H', W', C], each `size` x `size` examples of one run, the first
    of the sweep with the two values "x" [X] and "y" [Y]; nan between examples, and where there is no run.

    size: how many rows and columns of examples there are of a run.
    kind: "samples" from the prior, by the same draws for all runs, or "manifold".
    Raises UserError for examples that are no images, and for models that cannot be drawn so.
    """
    if kind not in _KINDS:
        raise errors.unknown("kind", kind, _KINDS)
    axis_x = grouping.axis(survey, x, [y])
    axis_y = grouping.axis(survey, y, [axis_x])
    columns = grouping.values(survey, axis_x)
    rows = grouping.values(survey, axis_y) if axis_y not in (axis_x, grouping.SEED) or y else [""]
    grouping.too_many(len(rows) * len(columns), _MOST_PANELS, "panels")
    panels = {}
    for run in survey.runs:
        place = (rows.index(run.axes[axis_y]) if rows != [""] else 0, columns.index(run.axes[axis_x]))
        if place not in panels:
            panels[place] = _panel(run.trained(), kind, key, size)
    blank = np.full_like(next(iter(panels.values())), np.nan)
    shown = [[panels.get((i, j), blank) for j in range(len(columns))] for i in range(len(rows))]
    words = {"x": np.array(columns), "y": np.array(rows), "axes": np.array([axis_x, axis_y if rows != [""] else ""])}
    return {"panels": np.array(shown), **words}


def _panel(trained, kind, key, size):
    """One run's examples side by side."""
    model, data = trained.experiment.model, trained.data
    if len(model.spec.shape) != 3:
        raise UserError(f"figure 'sample_grid' draws images, and these examples have shape {model.spec.shape}")
    if kind == "manifold":
        made = manifold.arrays(model, trained.variables, data, key, size=size)
        examples, limits = made["decoded"][::-1], made["limits"]
    else:
        made = samples.arrays(model, trained.variables, data, key, count=size * size)
        examples, limits = made["samples"].reshape(size, size, *model.spec.shape), made["limits"]
    shades = np.clip((examples - limits[0]) / max(limits[1] - limits[0], 1e-12), 0, 1)
    gap = -(-model.spec.shape[0] // 28)
    framed = np.pad(shades, ((0, 0), (0, 0), (0, gap), (0, gap), (0, 0)), constant_values=np.nan)
    rows, columns, height, width, channels = framed.shape
    return framed.swapaxes(1, 2).reshape(rows * height, columns * width, channels)[:-gap, :-gap]


@style.styled
def figure(arrays):
    panels = arrays["panels"]
    rows, columns = panels.shape[:2]
    width = min(1.6, (style.WIDTH - 0.6) / columns, (style.HEIGHT - 0.6) / rows)
    drawing = style.new(width * columns + 0.6, width * rows * panels.shape[2] / panels.shape[3] + 0.6)
    grid = drawing.subplots(rows, columns, squeeze=False)
    for (i, j), axes in np.ndenumerate(grid):
        panel = panels[i, j] if panels.shape[-1] == 3 else panels[i, j].mean(axis=-1)
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
