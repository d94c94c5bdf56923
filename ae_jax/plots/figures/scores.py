"""Histograms of the examples' scores by class, and the curves by which anomalies are found."""

import numpy as np

from ae_jax.evaluation import detection, requirements, scores
from ae_jax.plots import style


def arrays(
    model, variables, data, key, *, score: str = "", outlier: tuple = (), samples: int = 10
) -> dict[str, np.ndarray]:
    """Score the examples of the split.

    Args:
      model: the trained model.
      variables: the parameters and other collections of the model.
      data: the data of the evaluation.
      key: random key.
      score: elbo, mse, reconstruction or kl. By default elbo, or mse for a model without a prior.
      outlier: the names or numbers of the classes that are anomalies, joined by commas. By default class 1 of two.
      samples: how many latents are drawn from the posterior of each example.

    Returns:
      "scores" [N] and "name", that of the score. With classes also "label" [N] and "classes", their names. Where it is
      known which examples are anomalies, also the points of the curves: "false_positive_rate" and "true_positive_rate",
      "recall" and "precision", and the areas under both, "auc_roc" and "auc_pr".
    """
    requirements.at_least(1, scores_samples=samples)
    found, label = scores.of_batches(model, variables, data.test, key, samples)
    spec = data.test.spec
    name = score or scores.default(found)
    anomaly = scores.anomaly(found, name)
    drawn = {"scores": found[name], "name": np.array(name)}
    if label is None or not spec.classes:
        return drawn
    drawn |= {"label": label, "classes": np.array(spec.class_names)}
    if not outlier and spec.classes != 2:
        return drawn
    names = "figure 'scores'", "scores_outlier"
    classes = detection.outlier_classes(*names, spec, outlier)
    return drawn | _curves(detection.is_outlier(*names, label, classes), anomaly)


def _curves(is_outlier, anomaly):
    """Return the ROC and the precision-recall curve of a score [N], and the areas under both."""
    from sklearn import metrics

    false_positive_rate, true_positive_rate, _ = metrics.roc_curve(is_outlier, anomaly)
    precision, recall, _ = metrics.precision_recall_curve(is_outlier, anomaly)
    areas = detection.quality(is_outlier, anomaly)
    return {
        "false_positive_rate": false_positive_rate,
        "true_positive_rate": true_positive_rate,
        "recall": recall,
        "precision": precision,
        "auc_roc": np.array(areas["auc_roc"]),
        "auc_pr": np.array(areas["auc_pr"]),
    }


@style.styled
def figure(arrays):
    """Draw a histogram for each class; where anomalies are known, also both curves."""
    with_curves = "recall" in arrays
    drawing = style.new(style.WIDTH if with_curves else 4, 2.6)
    panels = drawing.subplots(1, 3 if with_curves else 1, squeeze=False)[0]
    _draw_histograms(panels[0], arrays)
    if with_curves:
        _draw_curve(panels[1], arrays["false_positive_rate"], arrays["true_positive_rate"])
        panels[1].set(xlabel="false positive rate", ylabel="true positive rate", title=f"AUC {arrays['auc_roc']:.3f}")
        panels[1].plot([0, 1], [0, 1], "--", color="#999999", linewidth=0.6)
        _draw_curve(panels[2], arrays["recall"], arrays["precision"])
        panels[2].set(xlabel="recall", ylabel="precision", title=f"average precision {arrays['auc_pr']:.3f}")
    return drawing


def _draw_histograms(axes, arrays):
    """Draw the share of each class in forty bins."""
    # The edges leave out the most extreme hundredth on either side, which would stretch the axis.
    values = arrays["scores"]
    low, high = np.quantile(values, [0.01, 0.99])
    edges = np.linspace(low, max(high, low + 1e-12), 41)
    # Scores beyond the edges count in the first and the last bin.
    values = np.clip(values, edges[0], edges[-1])
    classes = arrays.get("classes", np.array([""]))
    label = arrays.get("label", np.zeros(len(values), int))
    for number, (name, colour) in enumerate(zip(classes, style.colours(len(classes)), strict=True)):
        of_class = values[label == number]
        if len(of_class):
            shares = np.full(len(of_class), 1 / len(of_class))
            axes.hist(of_class, edges, weights=shares, histtype="step", color=colour, label=str(name))
    unit = "squared error" if arrays["name"] == "mse" else "nats"
    axes.set(xlabel=f"{arrays['name']} ({unit})", ylabel="share of the class" if "label" in arrays else "share")
    if "label" in arrays:
        axes.legend(title="class", ncols=-(-len(classes) // 6))


def _draw_curve(axes, x, y):
    """Draw a curve in the unit square."""
    axes.plot(x, y, color=style.PALETTE[0])
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
