"""What codes know of the classes: logistic regression and nearest neighbours on codes, PCA codes and pixels."""

import numpy as np

from ae_jax.core.errors import UserError
from ae_jax.evaluation import requirements
from ae_jax.evaluation.gather import code_and_label, compiled, gather
from ae_jax.evaluation.metrics.pca_mse import pixels
from ae_jax.evaluation.projections import principal_components

BETTER = {"probe_logistic_code_accuracy": "max", "probe_knn_code_accuracy": "max"}

_STRENGTHS = (0.01, 0.1, 1.0, 10.0)


def evaluate(model, variables, data, key, *, train: int = 10000, neighbours: int = 5) -> dict[str, float]:
    """Test accuracies of classifiers fitted on standardised training codes (posterior means), on PCA codes as long, and
    pixels. They are fitted on `train` training examples, drawn by a fixed permutation, as data may be sorted by class;
    the regularisation is chosen on a fifth of these. Examples whose label is not known are left out.

    Raises UserError for data without classes, and for too few training examples.
    """
    requirements.at_least(1, probe_train=train, probe_neighbours=neighbours)
    tested, truth, test_pixels = _known(model, variables, data.test, key)
    drawn = _drawn(data.train, train, max(neighbours, 5))
    fitted, labels, train_pixels = _known(model, variables, drawn, key)
    mean, components = principal_components(train_pixels, fitted.shape[1])
    reduce = lambda rows: (rows - mean) @ components.T
    kinds = {
        "code": (fitted, tested),
        "pca": (reduce(train_pixels), reduce(test_pixels)),
        "pixels": (train_pixels, test_pixels),
    }
    scores: dict[str, float] = {}
    for kind, (rows, test_rows) in kinds.items():
        scale = rows.std(axis=0) + 1e-6
        rows, test_rows = (rows - rows.mean(axis=0)) / scale, (test_rows - rows.mean(axis=0)) / scale
        logistic, knn = _accuracies(rows, labels, test_rows, truth, neighbours)
        scores |= {f"probe_logistic_{kind}_accuracy": logistic, f"probe_knn_{kind}_accuracy": knn}
    return scores


def _known(model, variables, batches, key):
    """(codes [N, D], labels [N], pixels [N, P]) of the examples whose label is known."""
    if not batches.spec.classes:  # known before a run begins, when there are no examples yet
        raise _unlabelled()
    found = gather(compiled(code_and_label, model), variables, batches, key)
    if "label" not in found:
        raise _unlabelled()
    known = found["label"] >= 0
    return found["code"][known], found["label"][known], pixels(batches)[known]


def _drawn(batches, count, least):
    """`count` of the examples whose label is known. Raises UserError for fewer than `least`, or of one class."""
    if "label" not in batches.arrays:
        raise _unlabelled()
    labels = np.asarray(batches.arrays["label"])[: batches.num_examples]
    known = np.flatnonzero(labels >= 0)
    # RandomState: the same in every version of NumPy.
    numbers = np.random.RandomState(0).permutation(known)[:count]
    if len(numbers) < least or len(set(labels[numbers])) < 2:
        raise UserError(
            f"metric 'probe' has {len(numbers)} training examples of {len(set(labels[numbers]))} classes\n"
            f"expected at least {least} of two\ntry a larger --limit"
        )
    return batches.only(numbers)


def _unlabelled():
    return UserError("metric 'probe' needs classes, and these data have none\ntry --metrics=mse")


def _accuracies(rows, labels, test_rows, truth, neighbours):
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier

    part = len(rows) * 4 // 5
    fit = lambda strength, n: LogisticRegression(C=strength, max_iter=300).fit(rows[:n], labels[:n])
    strengths = _STRENGTHS if len(set(labels[:part])) > 1 else (1.0,)  # of one class there is nothing to fit
    best = max(strengths, key=lambda strength: fit(strength, part).score(rows[part:], labels[part:]))
    knn = KNeighborsClassifier(neighbours).fit(rows, labels)
    return float(fit(best, len(rows)).score(test_rows, truth)), float(knn.score(test_rows, truth))
