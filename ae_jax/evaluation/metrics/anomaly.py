"""Detection of anomalies by a score of each example: AUC-ROC, AUC-PR and F1."""

import numpy as np

from ae_jax.evaluation import detection, requirements, scores

BETTER = {"anomaly_auc_roc": "max", "anomaly_auc_pr": "max", "anomaly_f1": "max"}


def evaluate(
    model, variables, data, key, *, score: str = "", outlier: tuple = (), samples: int = 10, bootstrap: int = 200
) -> dict[str, float]:
    """Measure how well a score separates anomalies from the other examples.

    Args:
      model: the trained model.
      variables: the parameters and other collections of the model.
      data: the data of the evaluation, with classes.
      key: random key.
      score: elbo, mse, reconstruction or kl. By default elbo, or mse for a model without a prior.
      outlier: the names or numbers of the classes that are anomalies, joined by commas. By default class 1 of two.
      samples: how many latents are drawn from the posterior of each example.
      bootstrap: how many bootstrap samples the standard errors are computed from.

    Returns:
      "anomaly_auc_roc"; "anomaly_auc_pr", the average precision; and "anomaly_f1", the F1 score where as many examples
      are flagged as there are anomalies; from 0 to 1. Standard errors "..._se" are over bootstrap samples, drawn with
      replacement from the anomalies and from the other examples.

    Raises:
      UserError: the examples have no classes, or all are on one side.
    """
    requirements.at_least(1, anomaly_samples=samples)
    requirements.at_least(2, anomaly_bootstrap=bootstrap)
    names = "metric 'anomaly'", "anomaly_outlier"
    classes = detection.outlier_classes(*names, data.test.spec, outlier)
    found, label = scores.of_batches(model, variables, data.test, key, samples)
    is_outlier = detection.is_outlier(*names, label, classes)
    anomaly = scores.anomaly(found, score)
    result = detection.quality(is_outlier, anomaly)
    drawn = [detection.quality(is_outlier[rows], anomaly[rows]) for rows in detection.resampled(is_outlier, bootstrap)]
    errors = {f"{name}_se": float(np.std([each[name] for each in drawn], ddof=1)) for name in result}
    return {f"anomaly_{name}": value for name, value in (result | errors).items()}
