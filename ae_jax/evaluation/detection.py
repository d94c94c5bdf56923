"""Detection of anomalies: which examples are anomalies, and how well a score finds them."""

from collections.abc import Iterator, Sequence

import numpy as np

from ae_jax.core import errors
from ae_jax.core.errors import UserError
from ae_jax.core.types import DataSpec


def outlier_classes(what: str, flag: str, spec: DataSpec, outlier: Sequence[str]) -> list[int]:
    """Return the numbers of the classes that are anomalies.

    Args:
      what: the metric or figure that needs them, for the error message.
      flag: its flag that names the classes.
      spec: the description of one example.
      outlier: the names or numbers of the classes; () for class 1 of two.

    Raises:
      UserError: there are no classes, no such class, or more than two and none is named.
    """
    if not spec.classes:
        raise UserError(f"{what} needs classes that say which examples are anomalies\nuse --task=score without them")
    if not outlier and spec.classes != 2:
        raise UserError(
            f"{what} needs the classes that are anomalies, and these data have {spec.classes} classes\n"
            f"use --{flag}={spec.class_names[-1]}, or other names joined by commas"
        )
    return [_class_of(name, flag, spec) for name in outlier] or [1]


def is_outlier(what: str, flag: str, label: np.ndarray | None, classes: Sequence[int]) -> np.ndarray:
    """Return which examples are anomalies, booleans [N].

    Args:
      what: the metric or figure that needs it, for the error message.
      flag: its flag that names the classes.
      label: the class of each example [N]; None where there are none.
      classes: what `outlier_classes` returned.

    Raises:
      UserError: there are no labels, or all examples are on one side.
    """
    if label is None:
        raise UserError(f"{what} needs labels, and these examples have none\nuse --task=score without them")
    found = np.isin(label, classes)
    if found.all() or not found.any():
        raise UserError(
            f"{what} needs anomalies and other examples, and {found.sum()} of these {len(found)} are anomalies\n"
            f"use more examples, or name other classes by --{flag}"
        )
    return found


def _class_of(name: str, flag: str, spec: DataSpec) -> int:
    """Return the number of the class with a name."""
    names = list(spec.class_names)
    if str(name) not in names:
        raise errors.unknown(f"class in --{flag}", str(name), names)
    return names.index(str(name))


def quality(is_outlier: np.ndarray, anomaly: np.ndarray) -> dict[str, float]:
    """Measure how well a score separates anomalies from the other examples.

    Args:
      is_outlier: which examples are anomalies, booleans [N], of both kinds.
      anomaly: a score [N] that is larger for less typical examples.

    Returns:
      "auc_roc", the area under the ROC curve; "auc_pr", the average precision; and "f1", the F1 score where as many
      examples are flagged as there are anomalies.
    """
    from sklearn import metrics

    flagged = np.zeros(len(anomaly), bool)
    flagged[most_anomalous(anomaly, int(is_outlier.sum()))] = True
    return {
        "auc_roc": float(metrics.roc_auc_score(is_outlier, anomaly)),
        "auc_pr": float(metrics.average_precision_score(is_outlier, anomaly)),
        "f1": float(metrics.f1_score(is_outlier, flagged)),
    }


def most_anomalous(anomaly: np.ndarray, count: int) -> np.ndarray:
    """Return the numbers of the examples with the greatest scores, the greatest first.

    Args:
      anomaly: scores [N] that are larger for less typical examples.
      count: how many are wanted.
    """
    # Stable, so that examples with equal scores keep their order on every machine.
    return np.argsort(-anomaly, kind="stable")[:count]


def resampled(is_outlier: np.ndarray, count: int) -> Iterator[np.ndarray]:
    """Yield the rows [N] of bootstrap samples, drawn with replacement from each kind.

    Args:
      is_outlier: which examples are anomalies, booleans [N].
      count: how many samples are drawn.
    """
    # RandomState draws the same numbers in every version of NumPy.
    generator = np.random.RandomState(0)
    kinds = [np.flatnonzero(is_outlier), np.flatnonzero(~is_outlier)]
    for _ in range(count):
        yield np.concatenate([generator.choice(rows, len(rows)) for rows in kinds])
