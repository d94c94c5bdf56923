"""The style of figures: one palette, grids of examples, and reproducible files.

The same run gives files with the same bytes. This module knows no models and no data sets, and it leaves matplotlib's
global state alone.
"""

import functools
import math
import os
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ae_jax.core import errors
from ae_jax.core.files import atomic_write
from ae_jax.core.types import DataSpec
from ae_jax.data.music import events

# Okabe and Ito 2008, "Color universal design", then wine and pale grey of Tol 2021, "Colour schemes". With protanopia,
# deuteranopia and tritanopia, the nearest two of these ten are about as far apart as the nearest two of the first
# eight.
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#000000", "#F0E442", "#661100", "#BBBBBB")
_UNKNOWN = "#DDDDDD"  # the colour of examples without a class

# All sizes are inches.
WIDTH, HEIGHT = 6.5, 8.5  # the text of a page
_CELL = 0.55  # the greatest width of an example in a grid
_MARGIN = {"x": 0.6, "y": 0.4}  # beside and below a grid, for its labels
_LABEL = {"x": 0.35, "y": 0.15}  # the space that a label needs
_ROLL = 0.9  # the height of a piano roll
_LINES_HEIGHT = 0.6  # the height of a cell with lines, divided by its width

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
    # Publishers ask for embedded TrueType fonts.
    "pdf.fonttype": 42,
    # Matplotlib would join the hundreds of images of a grid into one, which takes ten times as long.
    "image.composite_image": False,
}

# {file format: metadata}. Dates and versions are left out, because the same run must give the same bytes.
_METADATA = {"png": {"Software": None}, "pdf": {"CreationDate": None, "Creator": None, "Producer": None}, "html": None}


def _style():
    import matplotlib.style

    # "default" first, because the user's own settings would otherwise shine through.
    return matplotlib.style.context(["default", _STYLE])


def styled(figure: Callable) -> Callable:
    """Decorate a `figure(arrays)` so that it draws in this style, not in the user's own."""

    @functools.wraps(figure)
    def draw(arrays):
        with _style():
            return figure(arrays)

    return draw


def new(width: float, height: float) -> Any:
    """Make an empty Figure of a size in inches, which fits its contents into that size."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    # Not by pyplot, which would keep the figure in a global list and might open a window.
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def colours(n: int) -> list[Any]:
    """Return n different colours: the palette or, beyond its ten, a scale from dark to light."""
    if n <= len(PALETTE):
        return list(PALETTE[:n])
    import matplotlib

    return list(matplotlib.colormaps["viridis"](np.linspace(0, 1, n)))


def of_classes(labels: np.ndarray, count: int = 0) -> np.ndarray:
    """Return a colour [N, 4] for each label.

    Args:
      labels: classes [N]; -1 for an unknown class, which is grey.
      count: the number of classes. It is at least the greatest label plus one.
    """
    from matplotlib.colors import to_rgba

    # Grey comes last, where the label -1 finds it.
    palette = [*colours(max(count, int(labels.max(initial=0)) + 1)), _UNKNOWN]
    return np.array([to_rgba(colour) for colour in palette])[np.maximum(labels, -1)]


def number(value: float, form: str) -> str:
    """Format a number for a label, with a typographic minus sign."""
    return f"{value:{form}}".replace("-", "\N{MINUS SIGN}")


def limits(spec: DataSpec, *values: np.ndarray) -> np.ndarray:
    """Return the values [2] that are drawn as black and as white.

    Args:
      spec: the description of one example.
      *values: arrays of examples.

    Returns:
      0 and 1 for pixels, else the minimum and the maximum of the values. For melodies, which are drawn as piano rolls,
      the length of a bar [1].
    """
    if spec.kind == "events":
        return np.array([spec.bar], np.float32)
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
    """Draw rows of examples.

    Args:
      rows: examples, each an image [H, W, C], a line or a melody [T], or one line for each feature [T, F].
      limits: values [2] that are drawn as black and white, or at the lower and upper edge of a line's cell. Values
        beyond them are clipped. For melodies, the length of a bar [1].
      row_labels: labels of the rows. Labels that would overlap are thinned out.
      column_labels: labels of the columns. Labels that would overlap are thinned out.
      xlabel: label of the x-axis.
      ylabel: label of the y-axis.
      left: where each column begins, in widths of a cell; by default side by side.
      gap: the space between two cells, in widths of a cell.

    Returns:
      The Figure.
    """
    if len(limits) < 2:
        bar = int(limits[0]) if len(limits) else events.STEPS
        return piano_rolls(rows, row_labels=row_labels, column_labels=column_labels, bar=bar)
    columns = np.arange(max(map(len, rows))) if left is None else np.asarray(left)
    shape = rows[0][0].shape
    height = shape[0] / shape[1] if len(shape) == 3 else _LINES_HEIGHT
    # The page limits both sides, so cells shrink where there are many.
    width = min(_CELL, (WIDTH - _MARGIN["x"]) / (columns[-1] + 1), (HEIGHT - _MARGIN["y"]) / (len(rows) * height))
    figure = new(width * (columns[-1] + 1) + _MARGIN["x"], width * height * len(rows) + _MARGIN["y"])
    # All cells share one pair of axes: a pair for each of hundreds of cells would be slow to lay out.
    axes = figure.add_subplot(xlim=(0, columns[-1] + 1 - gap), ylim=(len(rows) - gap, 0), aspect=height)
    for y, row in enumerate(rows):
        for x, example in zip(columns, row, strict=False):
            scaled = (np.asarray(example, np.float64) - limits[0]) / max(limits[1] - limits[0], 1e-12)
            _cell(axes, x, y, 1 - gap, np.clip(scaled, 0, 1), height)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    _label(axes.xaxis, columns[: len(column_labels)], column_labels, width, gap, xlabel)
    _label(axes.yaxis, np.arange(len(row_labels)), row_labels, width * height, gap, ylabel)
    return figure


def _label(axis, starts, labels, inches, gap, title):
    """Label the cells that begin at `starts` along an axis, as many as there is space for."""
    every = math.ceil(_LABEL[axis.axis_name] / inches)
    axis.set_ticks(starts[::every] + (1 - gap) / 2, labels=list(labels)[::every])
    axis.set_label_text(title)


def _cell(axes, x, y, size, values, height):
    """Draw values in [0, 1] into the square cell whose upper left corner is (x, y)."""
    if values.ndim == 3:
        # An image whose channels are not red, green and blue is drawn as their mean.
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
    rows: Sequence[Sequence[np.ndarray]],
    *,
    row_labels: Sequence[str] = (),
    column_labels: Sequence[str] = (),
    bar: int = events.STEPS,
) -> Any:
    """Draw rows of melodies as piano rolls, which all show the same range of pitches.

    Args:
      rows: melodies, each a grid of events [T].
      row_labels: labels of the rows.
      column_labels: titles of the columns.
      bar: the number of events in a bar.

    Returns:
      The Figure. Time is counted in bars, pitch in MIDI numbers.
    """
    notes = [[events.to_notes(np.asarray(example)) for example in row] for row in rows]
    pitches = np.concatenate([melody[:, 2] for row in notes for melody in row])
    low, high = (pitches.min(), pitches.max()) if len(pitches) else (events.LOWEST, events.HIGHEST)
    bars = np.arange(0, len(rows[0][0]) + 1, bar)
    figure = new(WIDTH, min(HEIGHT, _ROLL * len(rows) + _MARGIN["y"]))
    axes = figure.subplots(len(rows), max(map(len, rows)), sharex=True, sharey=True, squeeze=False)
    for line, row in zip(axes, notes, strict=True):
        for axis, melody in zip(line, row):
            axis.vlines(bars, low - 1, high + 1, color="#DDDDDD", linewidth=0.4, zorder=0)
            # A small space tells repeated notes apart.
            axis.barh(melody[:, 2], melody[:, 1] - 0.2, left=melody[:, 0], height=0.9, color=PALETTE[0])
    # The axes are shared, so the first ones stand for all.
    axes[0, 0].set(xlim=(0, len(rows[0][0])), ylim=(low - 1, high + 1))
    axes[0, 0].set_xticks(bars[:-1], labels=range(1, len(bars)))
    axes[0, 0].locator_params(axis="y", integer=True)
    for axis, label in zip(axes[:, 0], row_labels):
        axis.set_ylabel(label, rotation=0, horizontalalignment="right", verticalalignment="center")
    for axis, label in zip(axes[0], column_labels):
        axis.set_title(label)
    figure.supxlabel("bar", fontsize="medium")
    figure.supylabel("MIDI pitch", fontsize="medium")
    return figure


def pixels(figure: Any) -> np.ndarray:
    """Draw a Figure and return its pixels, uint8 [H, W, 3]."""
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3].copy()


def save(path: str | os.PathLike, arrays: Mapping[str, np.ndarray], figure: Any, file_format: str) -> pathlib.Path:
    """Write the arrays of a figure to PATH.npz, and the figure to PATH.png or PATH.pdf.

    A page is written to PATH.html. Each file is written completely or not at all.

    Args:
      path: where to write, without a suffix.
      arrays: the arrays that the figure shows.
      figure: a Figure, or a page, whose own `file_format` prevails.
      file_format: "png" or "pdf".

    Returns:
      The path of the figure.

    Raises:
      UserError: for an unknown format, before anything is written.
    """
    if file_format not in _METADATA:
        raise errors.unknown("format", file_format, _METADATA)
    file_format = getattr(figure, "file_format", file_format)
    picture = pathlib.Path(f"{path}.{file_format}")
    picture.parent.mkdir(parents=True, exist_ok=True)
    named: dict[str, Any] = dict(arrays)
    # The arrays are written first, so that no figure exists without the numbers that it shows.
    with atomic_write(pathlib.Path(f"{path}.npz")) as file:
        np.savez(file, **named)
    with _style(), atomic_write(picture) as file:
        figure.savefig(file, format=file_format, metadata=_METADATA[file_format])
    return picture
