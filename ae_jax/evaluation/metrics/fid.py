"""The Frechet distance between the features of samples and of real examples.

Heusel et al. 2017, "GANs trained by a two time-scale update rule converge to a local Nash equilibrium",
arXiv:1706.08500. Only with features of Inception is it the FID of the literature: here the features are named.
"""

import numpy as np

from ae_jax.evaluation import features as of_examples

BETTER = {"fid": "min"}


def evaluate(model, variables, data, key, *, features: str = "", sampler: str = "prior") -> dict[str, float]:
    """|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)) of means and covariances, of samples as "fid_FEATURES", of training
    examples as "fid_FEATURES_floor", each against as many of the split. It depends on their number: compare like with
    like. `features`, `sampler` and errors as in `ae_jax.evaluation.features.scores`.
    """
    return of_examples.scores("fid", score, model, variables, data, key, features, sampler)


def score(rows, real) -> dict[str, float]:
    """Of rows [N, F] each."""
    means, covariances = zip(*((each.mean(axis=0), np.atleast_2d(np.cov(each, rowvar=False))) for each in (rows, real)))
    # tr (C1 C2)^(1/2) is that of the symmetric C1^(1/2) C2 C1^(1/2), whose eigenvalues are not negative.
    values, vectors = np.linalg.eigh(covariances[0])
    root = vectors * np.sqrt(values.clip(0)) @ vectors.T
    overlap = np.sqrt(np.linalg.eigvalsh(root @ covariances[1] @ root).clip(0)).sum()
    traces = sum(map(np.trace, covariances)) - 2 * overlap
    return {"fid": float(np.square(means[0] - means[1]).sum() + traces)}
