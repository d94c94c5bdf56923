"""A metric over training: thin lines for runs, thick ones for means over seeds."""

import numpy as np

from ae_jax.core import errors
from ae_jax.plots import style
from ae_jax.sweeps import grouping

_MOST_SETTINGS = 20
_FEW_STEPS = 3  # up to this number of steps, points are marked, because a line of one point is invisible


def arrays(survey, key, *, metric: str = "", split: str = "") -> dict[str, np.ndarray]:
    """Read a metric that the runs logged while they trained.

    Args:
      survey: the sweep.
      key: not used.
      metric: the logged metric; by default the config's criterion.
      split: the split of the logged metric; by default the one on which the runs were evaluated. "train" has the loss
        and its terms.

    Returns:
      "values" [R, T] at the steps "step" [T], nan where a run logged none. "setting" [R] is the number of each run's
      setting among "settings" [G]. "metric" and "split" are for the texts.

    Raises:
      UserError: if no run logged the metric, or for too many settings.
    """
    name, split = metric or survey.metric, split or survey.split
    logged = []
    for run in survey.runs:
        logged.append([line for line in run.lines if line["split"] == split])
    steps = sorted({line["step"] for lines in logged for line in lines if name in line})
    if not steps:
        known: set[str] = set()
        for lines in logged:
            known.update(*lines)
        raise errors.unknown(f"metric logged on {split!r}", name, known - {"step", "split"})
    values = np.full((len(logged), len(steps)), np.nan)
    for row, lines in zip(values, logged):
        for line in lines:
            if name in line:
                row[steps.index(line["step"])] = line[name]
    setting, settings = grouping.settings(survey)
    grouping.check_count(len(settings), _MOST_SETTINGS, "settings")
    return {
        "values": values,
        "step": np.array(steps),
        "setting": setting,
        "settings": np.array(settings),
        "metric": np.array(name),
        "split": np.array(split),
    }


@style.styled
def figure(arrays):
    """Draw the learning curves.

    Args:
      arrays: what `arrays` returned.
    """
    drawing = style.new(style.WIDTH / 2, 2.4)
    axes, settings = drawing.subplots(), arrays["settings"]
    marker = "o" if len(arrays["step"]) <= _FEW_STEPS else ""
    for number, (name, colour) in enumerate(zip(settings, style.colours(len(settings)), strict=True)):
        values = arrays["values"][arrays["setting"] == number]
        for row in values:
            axes.plot(arrays["step"], row, color=colour, linewidth=0.5, alpha=0.5)
        # A mean over fewer runs would jump where one of them ends.
        complete = np.isfinite(values).all(axis=0)
        mean = values[:, complete].mean(axis=0)
        axes.plot(arrays["step"][complete], mean, color=colour, marker=marker, markersize=3, label=str(name))
    axes.set(xlabel="step", ylabel=f"{grouping.word(str(arrays['metric']))} ({arrays['split']})")
    if any(map(str, settings)):
        axes.legend()
    return drawing
