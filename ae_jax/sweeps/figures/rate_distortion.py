"""The rate KL(q(z|x) || p(z)) against the distortion -log p(x|z), a point for each run.

Alemi et al. 2018, "Fixing a broken ELBO", arXiv:1711.00464, section 3.
"""

import numpy as np

from ae_jax.plots import style
from ae_jax.sweeps import grouping

_MOST_SETTINGS = 20


def arrays(survey, key, *, axis: str = "", samples: int = 1) -> dict[str, np.ndarray]:
    """Estimate the rate and the distortion of every run.

    All runs are evaluated on the same examples with the same random draws, so they differ by their models alone.

    Args:
      survey: the sweep.
      key: not used; draws follow from the seed of the survey.
      axis: the config key whose values a line joins; by default the first axis of the sweep that is not the seed.
      samples: posterior samples for each example.

    Returns:
      "rate" [R] and "distortion" [R] in nats per example. "line" [R] is the number of each run's setting of the other
      axes, among "lines" [G]. "value" [R] is the number of its value among the "values" [X] of the axis. "axis" is the
      axis.

    Raises:
      UserError: if the axis is unknown, if a model has no rate, or for too many lines.
    """
    chosen = grouping.axis(survey, axis)
    texts = grouping.values(survey, chosen)
    line, lines = grouping.settings(survey, (grouping.SEED, chosen))
    grouping.check_count(len(lines), _MOST_SETTINGS, "lines")
    scores = [run.scores("elbo", samples=samples) for run in survey.runs]
    return {
        "rate": np.array([score["kl"] for score in scores]),
        "distortion": np.array([score["reconstruction"] for score in scores]),
        "line": line,
        "value": np.array([texts.index(run.axes[chosen]) for run in survey.runs]),
        "lines": np.array(lines),
        "values": np.array(texts),
        "axis": np.array(chosen),
    }


@style.styled
def figure(arrays):
    """Draw a point for each run, and lines through the means over seeds along the axis.

    Args:
      arrays: what `arrays` returned.
    """
    drawing = style.new(style.WIDTH / 2, 2.4)
    axes = drawing.subplots()
    rate, distortion = arrays["rate"], arrays["distortion"]
    for number, (name, colour) in enumerate(zip(arrays["lines"], style.colours(len(arrays["lines"])), strict=True)):
        on_line = arrays["line"] == number
        axes.scatter(rate[on_line], distortion[on_line], s=6, color=colour, alpha=0.5, linewidths=0)
        texts, means = [], []
        for value, text in enumerate(arrays["values"]):
            here = on_line & (arrays["value"] == value)
            if here.any():
                texts.append(str(text))
                means.append((rate[here].mean(), distortion[here].mean()))
        axes.plot(*zip(*means), color=colour, marker="o", markersize=3, label=str(name))
        for text, place in zip(texts, means):
            axes.annotate(text, place, xytext=(3, 3), textcoords="offset points", fontsize=6, color=colour)
    axes.set(xlabel="rate, nats per example", ylabel="distortion, nats per example", title=f"by {arrays['axis']}")
    if any(map(str, arrays["lines"])):
        axes.legend()
    return drawing
