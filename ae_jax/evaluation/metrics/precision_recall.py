"""Precision and recall of samples, by nearest neighbours among features.

Kynkaanniemi et al. 2019, "Improved precision and recall metric for assessing generative models", arXiv:1904.06991.
"""

import functools

import numpy as np

from ae_jax.evaluation import features as of_examples
from ae_jax.evaluation import requirements

BETTER = {"precision": "max", "recall": "max"}

# How many rows of a matrix of distances are in memory at a time.
_CHUNK = 1000


def evaluate(
    model, variables, data, key, *, features: str = "", sampler: str = "prior", neighbours: int = 3
) -> dict[str, float]:
    """Measure precision and recall of samples.

    Precision is the share of samples that look real, and recall the share of real examples that samples cover. Each
    example is the centre of a ball that reaches to its k-th nearest example of the same kind. A sample looks real if it
    lies in a ball of a real example, and a sample covers the real examples that lie in its ball.

    Args:
      model: the trained model.
      variables: the parameters and other collections of the model.
      data: the data of the evaluation.
      key: random key.
      features: the feature extractor: a run directory, or an .npz of features "samples", "test" and "train". It is
        required.
      sampler: where latents of samples are drawn from: "prior", a file of ae_jax/evaluation/samplers, or the directory
        of a run that was trained on the latents of this one.
      neighbours: the number of neighbours (k) to which a ball reaches.

    Returns:
      "precision_EXTRACTOR" and "recall_EXTRACTOR" of samples, and "..._floor" of training examples.

    Raises:
      UserError: as `ae_jax.evaluation.features.scores`.
    """
    requirements.at_least(1, precision_recall_neighbours=neighbours)
    ask = functools.partial(score, neighbours=neighbours)
    return of_examples.scores("precision_recall", ask, model, variables, data, key, features, sampler, neighbours)


def score(rows, real, neighbours: int = 3) -> dict[str, float]:
    """Return precision and recall of samples among real examples.

    Args:
      rows: features [N, F] of samples.
      real: features [N, F] of real examples.
      neighbours: k.
    """
    return {
        "precision": float(_share_inside(rows, real, neighbours)),
        "recall": float(_share_inside(real, rows, neighbours)),
    }


def _share_inside(points, centres, neighbours):
    return balls(points, centres, neighbours)[0].astype(bool).mean()


def balls(points, centres, neighbours: int) -> tuple[np.ndarray, np.ndarray]:
    """Find which points lie in which balls. A ball reaches to the k-th nearest other centre.

    Args:
      points: [N, F].
      centres: centres of the balls [M, F].
      neighbours: k.

    Returns:
      The number of balls in which each point lies [N], and whether each ball contains a point [M].
    """
    # The nearest of all centres, in place 0, is the centre itself.
    nearest = [np.partition(part, neighbours, axis=1)[:, neighbours] for part in _distances(centres, centres)]
    radii = np.concatenate(nearest)
    counts, held = [], np.zeros(len(centres), bool)
    for part in _distances(points, centres):
        inside = part <= radii
        counts.append(inside.sum(axis=1))
        held |= inside.any(axis=0)
    return np.concatenate(counts), held


def _distances(a, b):
    """Yield squared distances [chunk, M] of successive rows of `a` [N, F] to all of `b` [M, F]."""
    from scipy.spatial.distance import cdist

    for start in range(0, len(a), _CHUNK):
        yield cdist(a[start : start + _CHUNK], b, "sqeuclidean")
