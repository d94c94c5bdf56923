"""A metric over training, a thin line a run and a thick one for the mean of each setting's seeds."""

import numpy as np

from ae_jax.core import errors
from ae_jax.plots import style
from ae_jax.sweeps import grouping

_MOST_SETTINGS = 20


def arrays(survey, key, *, metric: str = "", split: str = "") -> dict[str, np.ndarray]:
    """ "values" [R, T] at "step" [T], nan where a run logged none; "setting" [R], the number among "settings" [G].

    metric: one that is logged; by default the config's criterion.
    split: by default that on which the runs were evaluated; "train" has the loss and its terms.
    Raises UserError where no run logged the metric.
    """
    name, split = metric or survey.metric, split or survey.split
    logged = [[line for line in run.lines if line["split"] == split] for run in survey.runs]
    steps = sorted({line["step"] for lines in logged for line in lines if name in line})
    if not steps:
        there = {key for lines in logged for line in lines for key in line} - {"step", "split"}
        raise errors.unknown(f"metric logged on {split!r}", name, there)
    values = np.full((len(logged), len(steps)), np.nan)
    for row, lines in zip(values, logged):
        for line in lines:
            if name in line:
                row[steps.index(line["step"])] = line[name]
    setting, settings = grouping.groups(survey)
    grouping.too_many(len(settings), _MOST_SETTINGS, "settings")
    words = {"settings": np.array(settings), "metric": np.array(name), "split": np.array(split)}
    return {"values": values, "step": np.array(steps), "setting": setting, **words}


@style.styled
def figure(arrays):
    drawing = style.new(style.WIDTH / 2, 2.4)
    axes, settings = drawing.subplots(), arrays["settings"]
    marker = "o" if len(arrays["step"]) <= 3 else ""
    for number, (name, colour) in enumerate(zip(settings, style.colours(len(settings)), strict=True)):
        values = arrays["values"][arrays["setting"] == number]
        for row in values:
            axes.plot(arrays["step"], row, color=colour, linewidth=0.5, alpha=0.5)
        whole = np.isfinite(values).all(axis=0)
        mean = values[:, whole].mean(axis=0)
        axes.plot(arrays["step"][whole], mean, color=colour, marker=marker, markersize=3, label=str(name))
    axes.set(xlabel="step", ylabel=f"{grouping.word(str(arrays['metric']))} ({arrays['split']})")
    if any(map(str, settings)):
        axes.legend()
    return drawing
