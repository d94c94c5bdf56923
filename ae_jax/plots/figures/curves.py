"""Learning curves: the loss and its terms, on the training split and on held-out examples."""

import numpy as np

from ae_jax.core.errors import UserError
from ae_jax.plots import style

# Keys of metrics.jsonl that are no terms of the loss.
_NO_TERMS = ("step", "split", "gradient_norm", "skipped")


def arrays(model, variables, data, key) -> dict[str, np.ndarray]:
    """Arrange the terms of the loss that metrics.jsonl has.

    Returns:
      "values" [splits, terms, steps], per example, NaN where a value was not logged; "split", "term" and "step", the
      labels of the three axes.

    Raises:
      UserError: if metrics.jsonl has no line of training.
    """
    lines = data.metrics
    names = {name for line in lines if line["split"] == "train" for name in line} - set(_NO_TERMS)
    # The loss itself comes first, then its terms by name.
    terms = sorted(names, key=lambda name: (name != "loss", name))
    if not terms:
        raise UserError("figure 'curves' needs training metrics, and metrics.jsonl has none\nuse another figure")
    splits = list(dict.fromkeys(line["split"] for line in lines))
    steps = sorted({line["step"] for line in lines})
    values = np.full((len(splits), len(terms), len(steps)), np.nan)
    for line in lines:
        row = [line.get(name, np.nan) for name in terms]
        values[splits.index(line["split"]), :, steps.index(line["step"])] = row
    return {"values": values, "split": np.array(splits), "term": np.array(terms), "step": np.array(steps)}


@style.styled
def figure(arrays):
    """Draw a panel for each term, with a line for each split."""
    terms, step = arrays["term"], arrays["step"]
    columns = min(len(terms), 3)
    rows = -(-len(terms) // columns)
    drawing = style.new(max(style.WIDTH * columns / 3, 3), 2 * rows + 0.3)
    panels = drawing.subplots(rows, columns, squeeze=False)
    for axes in panels.flat[len(terms) :]:
        axes.set_visible(False)
    for number, (term, axes) in enumerate(zip(terms, panels.flat, strict=False)):
        for split, values, colour in zip(arrays["split"], arrays["values"][:, number], style.PALETTE, strict=False):
            # A line breaks at NaN, and values of held-out examples have NaN between them.
            logged = np.isfinite(values)
            marker = "o" if logged.sum() <= 30 else ""
            axes.plot(step[logged], values[logged], marker=marker, markersize=2.5, color=colour, label=split)
        axes.set(title=term, xlabel="step")
    handles, labels = panels[0, 0].get_legend_handles_labels()
    drawing.legend(handles, labels, loc="outside upper right", ncols=len(labels))
    drawing.supylabel("per example", fontsize="medium")
    return drawing
