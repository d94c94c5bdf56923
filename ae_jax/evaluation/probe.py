"""What codes know of the classes: logistic regression and nearest neighbours on codes, PCA codes and pixels."""

from ae_jax import evaluation
from ae_jax.errors import UserError
from ae_jax.evaluation.pca_mse import pixels, principal_components
from ae_jax.reduce import code_and_label, compiled, gather

BETTER = {"probe_logistic_code_accuracy": "max", "probe_knn_code_accuracy": "max"}

_STRENGTHS = (0.01, 0.1, 1.0, 10.0)


def evaluate(model, variables, data, key, *, train: int = 10000, neighbours: int = 5) -> dict[str, float]:
    """Test accuracies of classifiers fitted on standardised training codes (posterior means), on PCA codes as long, and
    pixels. The regularisation is chosen on the last fifth of the first `train` training examples;
    those whose label is not known are left out.

    Raises UserError for data without classes, and for too few training examples.
    """
    evaluation.at_least(1, probe_train=train, probe_neighbours=neighbours)
    fitted, labels, known = _known(model, variables, data["train"], key, train)
    tested, truth, tested_known = _known(model, variables, data["test"], key, None)
    if len(labels) < max(neighbours, 5) or len(set(labels)) < 2:
        raise UserError(
            f"metric 'probe' has {len(labels)} training examples of {len(set(labels))} classes\n"
            f"expected at least {max(neighbours, 5)} of two\ntry a larger --limit"
        )
    train_pixels, test_pixels = pixels(data["train"])[:train][known], pixels(data["test"])[tested_known]
    mean, components = principal_components(train_pixels, fitted.shape[1])
    reduce = lambda rows: (rows - mean) @ components.T
    kinds = {
        "code": (fitted, tested),
        "pca": (reduce(train_pixels), reduce(test_pixels)),
        "pixels": (train_pixels, test_pixels),
    }
    scores = {}
    for kind, (rows, test_rows) in kinds.items():
        scale = rows.std(axis=0) + 1e-6
        rows, test_rows = (rows - rows.mean(axis=0)) / scale, (test_rows - rows.mean(axis=0)) / scale
        logistic, knn = _accuracies(rows, labels, test_rows, truth, neighbours)
        scores |= {f"probe_logistic_{kind}_accuracy": logistic, f"probe_knn_{kind}_accuracy": knn}
    return scores


def _known(model, variables, batches, key, count):
    """(codes, labels) of the examples whose label is known, and which these are [N]."""
    unlabelled = UserError("metric 'probe' needs classes, and these data have none\ntry --metrics=mse")
    if not batches.spec.classes:  # known before a run begins, when there are no examples yet
        raise unlabelled
    found = gather(compiled(code_and_label, model), variables, batches, key, count=count)
    if "label" not in found:
        raise unlabelled
    known = found["label"] >= 0
    return found["code"][known], found["label"][known], known


def _accuracies(rows, labels, test_rows, truth, neighbours):
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier

    part = len(rows) * 4 // 5
    fit = lambda strength, n: LogisticRegression(C=strength, max_iter=300).fit(rows[:n], labels[:n])
    best = max(_STRENGTHS, key=lambda strength: fit(strength, part).score(rows[part:], labels[part:]))
    knn = KNeighborsClassifier(neighbours).fit(rows, labels)
    return float(fit(best, len(rows)).score(test_rows, truth)), float(knn.score(test_rows, truth))
