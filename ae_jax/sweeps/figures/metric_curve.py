"""A metric against one axis: means over seeds with confidence bands.

There is a line for each setting of the other axes.
"""

import numpy as np

from ae_jax.core.errors import UserError
from ae_jax.plots import style
from ae_jax.sweeps import grouping

_MOST_LINES = 20
_MOST_TICKS = 12  # with more values, the axis chooses its own ticks


def arrays(survey, key, *, metric: str = "", axis: str = "", confidence: float = 0.95) -> dict[str, np.ndarray]:
    """Compute means over runs, and Student's confidence intervals of the means.

    Args:
      survey: the sweep.
      key: not used.
      metric: METRIC at the end of training, or best.METRIC; by default the config's criterion.
      axis: the config key on the horizontal axis; by default the first axis of the sweep that is not the seed.
      confidence: the probability that an interval holds the true mean.

    Returns:
      "mean", "half_width" of the interval, and "count" of runs, all [L, X], for L lines and X values of the axis. The
      half width is nan for a single run. "at" [X] is where the "values" [X] are drawn. "metric", "axis", "lines" [L]
      and "confidence" are for the texts.

    Raises:
      UserError: if the metric or the axis is unknown, if the confidence is not between 0 and 1, or for too many lines.
    """
    from scipy.stats import t

    if not 0 < confidence < 1:
        raise UserError(f"confidence={confidence} is not a probability\nuse a number between 0 and 1")
    name, scores = grouping.metric(survey, metric)
    chosen = grouping.axis(survey, axis)
    texts = grouping.values(survey, chosen)
    setting, lines = grouping.settings(survey, (grouping.SEED, chosen))
    grouping.check_count(len(lines), _MOST_LINES, "lines")
    place = np.array([texts.index(run.axes[chosen]) for run in survey.runs])
    mean, half_width = np.full((2, len(lines), len(texts)), np.nan)
    count = np.zeros(mean.shape, int)
    for cell in np.ndindex(*mean.shape):
        found = scores[(setting == cell[0]) & (place == cell[1]) & np.isfinite(scores)]
        count[cell] = len(found)
        if len(found):
            mean[cell] = found.mean()
        if len(found) > 1:
            standard_error = found.std(ddof=1) / np.sqrt(len(found))
            half_width[cell] = t.ppf((1 + confidence) / 2, len(found) - 1) * standard_error
    return {
        "mean": mean,
        "half_width": half_width,
        "count": count,
        "at": grouping.places(texts),
        "metric": np.array(name),
        "axis": np.array(chosen),
        "lines": np.array(lines),
        "values": np.array(texts),
        "confidence": np.array(confidence),
    }


@style.styled
def figure(arrays):
    """Draw the means and their confidence bands. A mean of one run has no band.

    Args:
      arrays: what `arrays` returned.
    """
    drawing = style.new(style.WIDTH / 2, 2.4)
    axes, at = drawing.subplots(), arrays["at"]
    colours = style.colours(len(arrays["mean"]))
    for mean, half, name, colour in zip(arrays["mean"], arrays["half_width"], arrays["lines"], colours, strict=True):
        # A line goes on over values for which it has no runs.
        there = np.isfinite(mean)
        axes.plot(at[there], mean[there], marker="o", markersize=3, color=colour, label=str(name))
        axes.fill_between(at, mean - half, mean + half, color=colour, alpha=0.2, linewidth=0)
    if grouping.is_geometric(at):
        axes.set_xscale("log")
    if len(at) <= _MOST_TICKS:
        axes.set_xticks(at, labels=[str(text) for text in arrays["values"]])
        axes.minorticks_off()
    runs, ylabel = int(arrays["count"].max()), grouping.word(str(arrays["metric"]))
    title = f"mean of up to {runs} runs, {arrays['confidence']:.0%} confidence" if runs > 1 else ""
    axes.set(xlabel=str(arrays["axis"]), ylabel=ylabel, title=title)
    # A single line needs no legend: its label is empty.
    if any(map(str, arrays["lines"])):
        axes.legend()
    return drawing
