"""The rate, KL(q(z|x) || p(z)), against the distortion, -log p(x|z): what each setting pays for what it keeps.

Alemi et al. 2018, "Fixing a broken ELBO", arXiv:1711.00464, section 3.
"""

import numpy as np

from ae_jax.plots import style
from ae_jax.sweeps import grouping

_MOST_SETTINGS = 20


def arrays(survey, key, *, axis: str = "", samples: int = 1) -> dict[str, np.ndarray]:
    """The "rate" [R] and the "distortion" [R] of every run in nats per example, over the same examples and by the same
    `samples` draws of each: runs differ by the model alone. "line" [R], the number among "lines" [G] of its setting but
    for the axis; "value" [R], the number among "values" [X] of the axis.
    """
    chosen = grouping.axis(survey, axis)
    texts = grouping.values(survey, chosen)
    line, lines = grouping.groups(survey, (grouping.SEED, chosen))
    grouping.too_many(len(lines), _MOST_SETTINGS, "lines")
    scores = [run.scores("elbo", samples=samples) for run in survey.runs]
    rate, distortion = (np.array([score[name] for score in scores]) for name in ("kl", "reconstruction"))
    value = np.array([texts.index(run.axes[chosen]) for run in survey.runs])
    words = {"lines": np.array(lines), "values": np.array(texts), "axis": np.array(chosen)}
    return {"rate": rate, "distortion": distortion, "line": line, "value": value, **words}


@style.styled
def figure(arrays):
    """A point a run; a line joins the means over seeds, in the order of the axis, whose values stand beside them."""
    drawing = style.new(style.WIDTH / 2, 2.4)
    axes = drawing.subplots()
    for number, (name, colour) in enumerate(zip(arrays["lines"], style.colours(len(arrays["lines"])), strict=True)):
        here = arrays["line"] == number
        axes.scatter(arrays["rate"][here], arrays["distortion"][here], s=6, color=colour, alpha=0.5, linewidths=0)
        shown = [value for value in range(len(arrays["values"])) if (here & (arrays["value"] == value)).any()]
        means = [
            [arrays[part][here & (arrays["value"] == value)].mean() for value in shown]
            for part in ("rate", "distortion")
        ]
        axes.plot(*means, color=colour, marker="o", markersize=3, label=str(name))
        for value, x, y in zip(shown, *means):
            text = str(arrays["values"][value])
            axes.annotate(text, (x, y), xytext=(3, 3), textcoords="offset points", fontsize=6, color=colour)
    axes.set(xlabel="rate, nats per example", ylabel="distortion, nats per example", title=f"by {arrays['axis']}")
    if any(map(str, arrays["lines"])):
        axes.legend()
    return drawing
