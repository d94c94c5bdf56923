"""Probes that predict the class from the latent, with PCA and pixels as baselines.

The probes are logistic regression and nearest neighbours.
"""

import numpy as np

from ae_jax.core.errors import UserError
from ae_jax.evaluation import requirements
from ae_jax.evaluation.gather import code_and_label, compiled, gather
from ae_jax.evaluation.metrics.pca_mse import pixels
from ae_jax.evaluation.projections import principal_components

BETTER = {"probe_logistic_code_accuracy": "max", "probe_knn_code_accuracy": "max"}

# Inverse strengths of the regularisation, scikit-learn's C, among which a fifth of the training examples chooses.
_STRENGTHS = (0.01, 0.1, 1.0, 10.0)


def evaluate(model, variables, data, key, *, train: int = 10000, neighbours: int = 5) -> dict[str, float]:
    """Measure the accuracy of simple classifiers that are fitted to the latents of a model.

    For comparison, the same classifiers are fitted to as many principal components and to pixels. All of these are
    standardised. The latents are posterior means. The regularisation of the logistic regression is chosen on a
    fifth of the training examples. Examples whose label is unknown are left out.

    Args:
      model: the trained model.
      variables: the parameters and other collections of the model.
      data: the data of the evaluation.
      key: random key.
      train: how many training examples the classifiers are fitted to, in a fixed random order.
      neighbours: how many nearest neighbours vote.

    Returns:
      "probe_logistic_KIND_accuracy" and "probe_knn_KIND_accuracy" for the kinds "code" (the latent), "pca" and
      "pixels", from 0 to 1.

    Raises:
      UserError: for data without classes, or with too few training examples.
    """
    requirements.at_least(1, probe_train=train, probe_neighbours=neighbours)
    tested, truth, test_pixels = _known(model, variables, data.test, key)
    # The choice of the regularisation needs five examples, of which one is held out.
    drawn = _drawn(data.train, train, max(neighbours, 5))
    fitted, labels, train_pixels = _known(model, variables, drawn, key)
    centre, components = principal_components(train_pixels, fitted.shape[1])

    def reduce(rows):
        return (rows - centre) @ components.T

    kinds = {
        "code": (fitted, tested),
        "pca": (reduce(train_pixels), reduce(test_pixels)),
        "pixels": (train_pixels, test_pixels),
    }
    scores: dict[str, float] = {}
    for kind, (rows, test_rows) in kinds.items():
        # In float64, because in float32 the mean of values far from zero is rounded by more than small deviations.
        mean, scale = rows.mean(axis=0, dtype=np.float64), rows.std(axis=0, dtype=np.float64)
        # A pixel that never varies has a standard deviation of 0.
        rows, test_rows = ((each - mean) / (scale + 1e-6) for each in (rows, test_rows))
        logistic, knn = _accuracies(rows, labels, test_rows, truth, neighbours)
        scores |= {f"probe_logistic_{kind}_accuracy": logistic, f"probe_knn_{kind}_accuracy": knn}
    return scores


def _known(model, variables, batches, key):
    """Return latents [N, D], labels [N] and pixels [N, P] of the examples with a known label."""
    # The description of the data has no classes, which is known before a run begins and any example is read.
    if not batches.spec.classes:
        raise _unlabelled()
    found = gather(compiled(code_and_label, model), variables, batches, key)
    if "label" not in found:
        raise _unlabelled()
    known = found["label"] >= 0
    return found["code"][known], found["label"][known], pixels(batches)[known]


def _drawn(batches, count, least):
    """Subsample `count` of the examples whose label is known, in a fixed random order.

    Raises UserError if there are fewer than `least`, or if all are of one class.
    """
    if "label" not in batches.arrays:
        raise _unlabelled()
    labels = np.asarray(batches.arrays["label"])[: batches.num_examples]
    known = np.flatnonzero(labels >= 0)
    # A permutation, because data may be sorted by class. RandomState is the same in every version of NumPy.
    numbers = np.random.RandomState(0).permutation(known)[:count]
    classes = len(set(labels[numbers]))
    if len(numbers) < least or classes < 2:
        raise UserError(
            f"metric 'probe' has {len(numbers)} training examples of {classes} classes\n"
            f"use at least {least} examples of two classes, by a larger --limit or --probe_train"
        )
    return batches.only(numbers)


def _unlabelled():
    return UserError("metric 'probe' needs classes, and these data have none\nuse --metrics=mse")


def _accuracies(rows, labels, test_rows, truth, neighbours):
    """Fit both classifiers to standardised rows [N, D] and return their accuracies on others."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier

    part = len(rows) * 4 // 5

    def fit(strength, count):
        return LogisticRegression(C=strength, max_iter=300).fit(rows[:count], labels[:count])

    def accuracy_of(strength):
        return fit(strength, part).score(rows[part:], labels[part:])

    best = 1.0
    # Logistic regression cannot be fitted to a single class, which the first four fifths may be.
    if len(set(labels[:part])) > 1:
        best = max(_STRENGTHS, key=accuracy_of)
    knn = KNeighborsClassifier(neighbours).fit(rows, labels)
    return float(fit(best, len(rows)).score(test_rows, truth)), float(knn.score(test_rows, truth))
