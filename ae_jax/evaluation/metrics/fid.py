"""Frechet distance between the features of samples and those of real examples.

Heusel et al. 2017, "GANs trained by a two time-scale update rule converge to a local Nash equilibrium",
arXiv:1706.08500. It is the FID of the literature only with features of the Inception network. Here the name of the
feature extractor is part of the metric's name.
"""

import numpy as np

from ae_jax.evaluation import features as of_examples

BETTER = {"fid": "min"}


def evaluate(model, variables, data, key, *, features: str = "", sampler: str = "prior") -> dict[str, float]:
    """Measure the Frechet distance |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)) of samples.

    The m are means and the C covariances of the features. The estimate depends on the number of examples, so only
    values for the same number can be compared.

    Args:
      model: the trained model.
      variables: the parameters and other collections of the model.
      data: the data of the evaluation.
      key: random key.
      features: the feature extractor: a run directory, or an .npz of features "samples", "test" and "train". It is
        required.
      sampler: where latents of samples are drawn from: "prior", a file of ae_jax/evaluation/samplers, or the directory
        of a run that was trained on the latents of this one.

    Returns:
      "fid_EXTRACTOR" of samples and "fid_EXTRACTOR_floor" of training examples, each against as many examples of the
      evaluated split.

    Raises:
      UserError: as `ae_jax.evaluation.features.scores`.
    """
    return of_examples.scores("fid", score, model, variables, data, key, features, sampler)


def score(rows, real) -> dict[str, float]:
    """Return the Frechet distance between two sets of features [N, F]."""
    covariance, covariance_real = _covariance(rows), _covariance(real)
    # tr (C1 C2)^(1/2) is the trace of the square root of the symmetric matrix C1^(1/2) C2 C1^(1/2), whose eigenvalues
    # are not negative. Rounding can make them slightly negative, so they are clipped.
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(values.clip(0)) @ vectors.T
    overlap = np.sqrt(np.linalg.eigvalsh(root @ covariance_real @ root).clip(0)).sum()
    traces = np.trace(covariance) + np.trace(covariance_real) - 2 * overlap
    return {"fid": float(np.square(rows.mean(axis=0) - real.mean(axis=0)).sum() + traces)}


def _covariance(rows):
    # For a single feature, `np.cov` returns a scalar.
    return np.atleast_2d(np.cov(rows, rowvar=False))
