"""How much of a melody comes back, in the course of training: of training and of held-out melodies, side by side."""

import numpy as np

from ae_jax.core.errors import UserError
from ae_jax.plots import style

_SCORES = {"accuracy_argmax": "free-running accuracy", "note_f1_argmax": "note F1", "kl_bits": "KL in bits"}


def arrays(model, variables, data, key) -> dict[str, np.ndarray]:
    """The scores of `evaluation.melodies` at each "step" [N], "held_out" [scores, N] and "train", NaN where there is
    none; and the baseline "most_likely" [scores]. Raises UserError where none were logged.
    """
    lines = [line for line in data.metrics if "accuracy_argmax" in line]
    if not lines:
        raise UserError(
            "figure 'melody_curves' needs scores of melodies, and metrics.jsonl has none\n"
            "expected a run with eval.metrics=melodies and train.eval_every above 0; or try --figures=curves"
        )
    column = lambda ending: [[line.get(name + ending, np.nan) for line in lines] for name in _SCORES]
    baseline = [
        lines[-1].get(name.replace("argmax", "most_likely"), np.nan) for name in ("accuracy_argmax", "note_f1_argmax")
    ]
    return {
        "step": np.array([line["step"] for line in lines]),
        "held_out": np.array(column("")),
        "train": np.array(column("_train")),
        "most_likely": np.array([*baseline, np.nan]),
    }


@style.styled
def figure(arrays):
    """A panel a score; the likeliest event of each position is the dotted line."""
    drawing = style.new(style.WIDTH, 2.3)
    panels = drawing.subplots(1, len(_SCORES))
    for axes, title, held_out, train, baseline in zip(
        panels, _SCORES.values(), arrays["held_out"], arrays["train"], arrays["most_likely"], strict=True
    ):
        for values, label, colour in (
            (train, "training", style.PALETTE[0]),
            (held_out, "held out", style.PALETTE[1]),
        ):
            if np.isfinite(values).any():
                axes.plot(arrays["step"], values, marker="o", markersize=2.5, color=colour, label=label)
        if np.isfinite(baseline):
            axes.axhline(baseline, color="#888888", linestyle=":", linewidth=0.8)
        axes.set(title=title, xlabel="step")
    drawing.legend(*panels[0].get_legend_handles_labels(), loc="outside upper right", ncols=2)
    return drawing
