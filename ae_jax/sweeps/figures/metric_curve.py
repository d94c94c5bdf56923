"""A metric against one axis: the mean over seeds and its confidence band, a line for each setting of the other axes."""

import numpy as np

from ae_jax.core.errors import UserError
from ae_jax.plots import style
from ae_jax.sweeps import grouping

_MOST_LINES = 20


def arrays(survey, key, *, metric: str = "", axis: str = "", confidence: float = 0.95) -> dict[str, np.ndarray]:
    """Over the runs of each setting and each value of the axis, the "mean" [L, X], the "half_width" [L, X] of Student's
    confidence interval of that mean (nan for one run) and their "count" [L, X]; "at" [X], where the "values" [X] stand.

    confidence: how probable it is that the interval holds the mean.
    """
    from scipy.stats import t

    if not 0 < confidence < 1:
        raise UserError(f"confidence is {confidence}\nexpected a number between 0 and 1")
    name, scores = grouping.metric(survey, metric)
    chosen = grouping.axis(survey, axis)
    texts = grouping.values(survey, chosen)
    group, lines = grouping.groups(survey, (grouping.SEED, chosen))
    grouping.too_many(len(lines), _MOST_LINES, "lines")
    place = np.array([texts.index(run.axes[chosen]) for run in survey.runs])
    mean, half_width = np.full((2, len(lines), len(texts)), np.nan)
    count = np.zeros(mean.shape, int)
    for cell in np.ndindex(*mean.shape):
        found = scores[(group == cell[0]) & (place == cell[1]) & np.isfinite(scores)]
        count[cell] = len(found)
        if len(found):
            mean[cell] = found.mean()
        if len(found) > 1:
            error = found.std(ddof=1) / np.sqrt(len(found))
            half_width[cell] = t.ppf((1 + confidence) / 2, len(found) - 1) * error
    words = {"metric": np.array(name), "axis": np.array(chosen), "lines": np.array(lines), "values": np.array(texts)}
    numbers = {"mean": mean, "half_width": half_width, "count": count, "at": grouping.places(texts)}
    return {**numbers, **words, "confidence": np.array(confidence)}


@style.styled
def figure(arrays):
    """The band is left out where there is one run."""
    drawing = style.new(style.WIDTH / 2, 2.4)
    axes, at = drawing.subplots(), arrays["at"]
    for mean, half, name, colour in zip(
        arrays["mean"], arrays["half_width"], arrays["lines"], style.colours(len(arrays["mean"])), strict=True
    ):
        there = np.isfinite(mean)
        axes.plot(at[there], mean[there], marker="o", markersize=3, color=colour, label=str(name))
        axes.fill_between(at, mean - half, mean + half, color=colour, alpha=0.2, linewidth=0)
    if grouping.is_geometric(at):
        axes.set_xscale("log")
    if len(at) <= 12:
        axes.set_xticks(at, labels=[str(text) for text in arrays["values"]])
        axes.minorticks_off()
    runs, title = int(arrays["count"].max()), grouping.word(str(arrays["metric"]))
    band = f"mean of up to {runs} runs, {arrays['confidence']:.0%} confidence" if runs > 1 else ""
    axes.set(xlabel=str(arrays["axis"]), ylabel=title, title=band)
    if any(map(str, arrays["lines"])):
        axes.legend()
    return drawing
