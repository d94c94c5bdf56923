"""How figures look and how they are kept: one style, one palette, grids of examples, the same bytes for the same run.

Nothing of a model or of data is known here, and nothing of matplotlib's global state is touched.
"""

import contextlib
import functools
import math
import os
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ae_jax.core import errors
from ae_jax.core.types import DataSpec
from ae_jax.data.music import events

# Okabe and Ito 2008, "Color universal design", then wine and pale grey of Tol 2021, "Colour schemes": under protanopia,
# deuteranopia and tritanopia the nearest two of the ten are as far apart as the nearest of the eight, within a tenth.
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#000000", "#F0E442", "#661100", "#BBBBBB")
_UNKNOWN = "#DDDDDD"  # of examples without a class

WIDTH, HEIGHT = 6.5, 8.5  # inches, the text of a page
_CELL = 0.55  # inches, the widest an example is drawn in a grid
_MARGIN = {"x": 0.6, "y": 0.4}  # inches beside and below a grid, for its labels
_LABEL = {"x": 0.35, "y": 0.15}  # inches that a label needs
_LINES_HEIGHT = 0.6  # of a cell with lines, in its width
_ROLL = 0.9  # inches, the height of a piano roll

_STYLE = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "lines.linewidth": 1.2,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 7,
    "savefig.dpi": 300,
    "savefig.bbox": "tight",
    "savefig.pad_inches": 0.03,
    "pdf.fonttype": 42,  # embeds TrueType, as publishers ask
    "image.composite_image": False,  # joining hundreds of images into one takes ten times as long
}

# Without the metadata that would tell one hour, or one machine, from another.
_METADATA = {"png": {"Software": None}, "pdf": {"CreationDate": None, "Creator": None, "Producer": None}, "html": None}


def _style():
    import matplotlib.style

    return matplotlib.style.context(["default", _STYLE])


def styled(figure: Callable) -> Callable:
    """Decorates a plot's `figure(arrays)`: it draws in this project's style, whatever the user's own settings."""

    @functools.wraps(figure)
    def draw(arrays):
        with _style():
            return figure(arrays)

    return draw


def new(width: float, height: float) -> Any:
    """An empty Figure of this size in inches, which fits its contents into it."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def colours(n: int) -> list[Any]:
    """n colours: those of the palette; beyond its ten, steps of one scale from dark to light."""
    if n <= len(PALETTE):
        return list(PALETTE[:n])
    import matplotlib

    return list(matplotlib.colormaps["viridis"](np.linspace(0, 1, n)))


def of_classes(labels: np.ndarray, count: int = 0) -> np.ndarray:
    """A colour for each of `labels` [N], of `count` classes or of as many as there are; grey for unknown ones, -1."""
    from matplotlib.colors import to_rgba

    palette = [*colours(max(count, int(labels.max(initial=0)) + 1)), _UNKNOWN]
    return np.array(list(map(to_rgba, palette)))[np.maximum(labels, -1)]


def number(value: float, form: str) -> str:
    """A number as a label, with the minus sign of typography."""
    return f"{value:{form}}".replace("-", "\N{MINUS SIGN}")


def limits(spec: DataSpec, *values: np.ndarray) -> np.ndarray:
    """[2], what is drawn as black and as white: 0 and 1 for pixels, else the least and the greatest of `values`; of
    melodies [0], as they are drawn as piano rolls.
    """
    if spec.kind == "events":
        return np.zeros(0, np.float32)
    if spec.kind == "pixels":
        return np.array([0, 1], np.float32)
    return np.array([min(v.min() for v in values), max(v.max() for v in values)], np.float32)


def grid(
    rows: Sequence[Sequence[np.ndarray]],
    limits: np.ndarray,
    *,
    row_labels: Sequence[str] = (),
    column_labels: Sequence[str] = (),
    xlabel: str = "",
    ylabel: str = "",
    left: Sequence[float] | None = None,
    gap: float = 0.06,
) -> Any:
    """A Figure of rows of examples, each [H, W, C] (an image), [T] (a line, or a melody) or [T, F] (a line a feature).

    limits: [2], values drawn as black and white, or at the lower and upper edge of a line's cell; others are clipped;
        [0] for melodies.
    left: where the columns begin, in widths of a cell; gap: the space between two cells, as a share of one.
    Labels that would overlap are thinned out.
    """
    if not len(limits):
        return piano_rolls(rows, row_labels=row_labels, column_labels=column_labels)
    left = np.arange(max(map(len, rows))) if left is None else np.asarray(left)
    shape = rows[0][0].shape
    height = shape[0] / shape[1] if len(shape) == 3 else _LINES_HEIGHT
    width = min(_CELL, (WIDTH - _MARGIN["x"]) / (left[-1] + 1), (HEIGHT - _MARGIN["y"]) / (len(rows) * height))
    figure = new(width * (left[-1] + 1) + _MARGIN["x"], width * height * len(rows) + _MARGIN["y"])
    axes = figure.add_subplot(xlim=(0, left[-1] + 1 - gap), ylim=(len(rows) - gap, 0), aspect=height)
    for y, row in enumerate(rows):
        for x, example in zip(left, row, strict=False):
            scaled = (np.asarray(example, np.float64) - limits[0]) / max(limits[1] - limits[0], 1e-12)
            _cell(axes, x, y, 1 - gap, np.clip(scaled, 0, 1), height)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    _label(axes.xaxis, left[: len(column_labels)], column_labels, width, gap, xlabel)
    _label(axes.yaxis, np.arange(len(row_labels)), row_labels, width * height, gap, ylabel)
    return figure


def _label(axis, starts, labels, inches, gap, title):
    every = math.ceil(_LABEL[axis.axis_name] / inches)
    axis.set_ticks(starts[::every] + (1 - gap) / 2, labels=list(labels)[::every])
    axis.set_label_text(title)


def _cell(axes, x, y, size, values, height):
    """Draws values in [0, 1] into the square cell whose upper left corner is (x, y)."""
    if values.ndim == 3:
        # Channel counts that are not a colour's are drawn as their mean.
        image = values if values.shape[-1] == 3 else np.repeat(values.mean(axis=-1, keepdims=True), 3, axis=-1)
        extent = (x, x + size, y + size, y)
        axes.imshow(image, extent=extent, aspect=height, interpolation="nearest")
        return
    features = values.reshape(len(values), -1).T
    time = x + size * np.linspace(0, 1, len(values))
    for feature, colour in zip(features, colours(len(features)), strict=True):
        axes.plot(time, y + size * (1 - feature), color=colour, linewidth=0.7, clip_on=False)
    frame = np.array([[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]) * size + [x, y]
    axes.plot(*frame.T, color="#DDDDDD", linewidth=0.4, zorder=0, clip_on=False)


def piano_rolls(
    rows: Sequence[Sequence[np.ndarray]], *, row_labels: Sequence[str] = (), column_labels: Sequence[str] = ()
) -> Any:
    """A Figure of rows of melodies, each a grid of events [T]: notes at their pitches over time, counted in bars of
    4/4. All share the range of pitches that there is."""
    notes = [[events.to_notes(np.asarray(example)) for example in row] for row in rows]
    pitches = np.concatenate([melody[:, 2] for row in notes for melody in row])
    low, high = (pitches.min(), pitches.max()) if len(pitches) else (events.LOWEST, events.HIGHEST)
    bars = np.arange(0, len(rows[0][0]) + 1, events.STEPS)
    figure = new(WIDTH, min(HEIGHT, _ROLL * len(rows) + _MARGIN["y"]))
    axes = figure.subplots(len(rows), max(map(len, rows)), sharex=True, sharey=True, squeeze=False)
    for axis, melody in (
        (axis, melody) for line, row in zip(axes, notes, strict=True) for axis, melody in zip(line, row)
    ):
        axis.vlines(bars, low - 1, high + 1, color="#DDDDDD", linewidth=0.4, zorder=0)
        axis.barh(melody[:, 2], melody[:, 1] - 0.2, left=melody[:, 0], height=0.9, color=PALETTE[0])
    axes[0, 0].set(xlim=(0, len(rows[0][0])), ylim=(low - 1, high + 1))
    axes[0, 0].set_xticks(bars[:-1], labels=range(1, len(bars)))
    axes[0, 0].locator_params(axis="y", integer=True)
    for axis, label in zip(axes[:, 0], row_labels):
        axis.set_ylabel(label)
    for axis, label in zip(axes[0], column_labels):
        axis.set_title(label)
    return figure


def pixels(figure: Any) -> np.ndarray:
    """A Figure as uint8 [H, W, 3]."""
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3].copy()


def save(path: str | os.PathLike, arrays: Mapping[str, np.ndarray], figure: Any, file_format: str) -> pathlib.Path:
    """Writes PATH.npz and PATH.png or PATH.pdf, each whole or not at all; answers the picture's path. A page, which
    states a `file_format` of its own, becomes PATH.html.

    Raises UserError for an unknown format, before anything is written.
    """
    if file_format not in _METADATA:
        raise errors.unknown("format", file_format, _METADATA)
    file_format = getattr(figure, "file_format", file_format)
    picture = pathlib.Path(f"{path}.{file_format}")
    picture.parent.mkdir(parents=True, exist_ok=True)
    with whole(pathlib.Path(f"{path}.npz")) as file:
        np.savez(file, **arrays)
    with _style(), whole(picture) as file:
        figure.savefig(file, format=file_format, metadata=_METADATA[file_format])
    return picture


@contextlib.contextmanager
def whole(path: pathlib.Path):
    """A file to write that appears under its name once it is complete."""
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with temporary.open("wb") as file:
            yield file
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
