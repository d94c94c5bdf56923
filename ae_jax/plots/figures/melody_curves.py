"""Reconstruction of melodies over training, on training melodies and on held-out ones."""

import numpy as np

from ae_jax.core.errors import UserError
from ae_jax.plots import style

_SCORES = {"accuracy_argmax": "free-running accuracy", "note_f1_argmax": "note F1", "kl_bits": "KL in bits"}


def arrays(model, variables, data, key) -> dict[str, np.ndarray]:
    """Arrange the scores of the metric `melodies` that metrics.jsonl has.

    Returns:
      "step" [N]; "held_out" and "train" [scores, N], NaN where a score was not logged; "most_likely" [scores], the
      baseline that writes the most probable event of each position, NaN without one.

    Raises:
      UserError: if no scores were logged.
    """
    lines = [line for line in data.metrics if "accuracy_argmax" in line]
    if not lines:
        raise UserError(
            "figure 'melody_curves' needs scores of melodies, and metrics.jsonl has none\n"
            "use a run with eval.metrics=melodies and train.eval_every above 0, or --figures=curves"
        )

    def scores(suffix):
        return np.array([[line.get(name + suffix, np.nan) for line in lines] for name in _SCORES])

    # The baseline has no latent, and so no KL divergence.
    baselines = ("accuracy_most_likely", "note_f1_most_likely")
    return {
        "step": np.array([line["step"] for line in lines]),
        "held_out": scores(""),
        "train": scores("_train"),
        "most_likely": np.array([*(lines[-1].get(name, np.nan) for name in baselines), np.nan]),
    }


@style.styled
def figure(arrays):
    """Draw a panel for each score, with the baseline as a dotted line."""
    drawing = style.new(style.WIDTH, 2.3)
    panels = drawing.subplots(1, len(_SCORES))
    lines = (("train", "training", style.PALETTE[0]), ("held_out", "held out", style.PALETTE[1]))
    for number, (axes, title) in enumerate(zip(panels, _SCORES.values(), strict=True)):
        for name, label, colour in lines:
            values = arrays[name][number]
            if np.isfinite(values).any():
                axes.plot(arrays["step"], values, marker="o", markersize=2.5, color=colour, label=label)
        baseline = arrays["most_likely"][number]
        if np.isfinite(baseline):
            axes.axhline(baseline, color="#888888", linestyle=":", linewidth=0.8)
        axes.set(title=title, xlabel="step")
    drawing.legend(*panels[0].get_legend_handles_labels(), loc="outside upper right", ncols=2)
    return drawing
