"""The rate KL(q(z|x) || p(z)) against the distortion -log p(x|z), a point for each run.

Alemi et al. 2018, "Fixing a broken ELBO", arXiv:1711.00464, section 3.
"""

import numpy as np

from ae_jax.core import errors
from ae_jax.plots import style
from ae_jax.sweeps import grouping

_MOST_SETTINGS = 20


def arrays(survey, key, *, axis: str = "", samples: int = 1, of: str = "elbo") -> dict[str, np.ndarray]:
    """Estimate the rate and the distortion of every run.

    All runs are evaluated on the same examples with the same random draws, so they differ by their models alone.

    Args:
      survey: the sweep.
      key: not used; draws follow from the seed of the survey.
      axis: the config key whose values a line joins; by default the first axis of the sweep that is not the seed.
      samples: posterior samples for each example.
      of: "elbo", rate and distortion in nats; or "codebook" of discrete latents, the entropy of the codebook's entries
        in bits at each place, and the mean squared error.

    Returns:
      "rate" [R] and "distortion" [R], and "labels" [2], what they are. "line" [R] is the number of each run's setting
      of the other axes, among "lines" [G]. "value" [R] is the number of its value among the "values" [X] of the axis.
      "axis" is the axis.

    Raises:
      UserError: if the axis is unknown, if a model has no rate, or for too many lines.
    """
    chosen = grouping.axis(survey, axis)
    texts = grouping.values(survey, chosen)
    line, lines = grouping.settings(survey, (grouping.SEED, chosen))
    grouping.check_count(len(lines), _MOST_SETTINGS, "lines")
    if of not in _LABELS:
        raise errors.unknown("rate_distortion_of", of, _LABELS)
    rate, distortion = _OF[of](survey.runs, samples)
    return {
        "rate": np.array(rate),
        "distortion": np.array(distortion),
        "labels": np.array(_LABELS[of]),
        "line": line,
        "value": np.array([texts.index(run.axes[chosen]) for run in survey.runs]),
        "lines": np.array(lines),
        "values": np.array(texts),
        "axis": np.array(chosen),
    }


def _of_elbo(runs, samples):
    scores = [run.scores("elbo", samples=samples) for run in runs]
    return [score["kl"] for score in scores], [score["reconstruction"] for score in scores]


def _of_codebook(runs, samples):
    rates = [run.scores("codebook")["codebook_entropy_bits"] for run in runs]
    return rates, [run.scores("mse")["mse_per_pixel"] for run in runs]


_OF = {"elbo": _of_elbo, "codebook": _of_codebook}
_LABELS = {
    "elbo": ("rate, nats per example", "distortion, nats per example"),
    "codebook": ("entropy, bits per code", "mean squared error"),
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
    xlabel, ylabel = map(str, arrays["labels"])
    axes.set(xlabel=xlabel, ylabel=ylabel, title=f"by {arrays['axis']}")
    if any(map(str, arrays["lines"])):
        axes.legend()
    return drawing
