"""How much of what is drawn looks real, and how much of what is real is drawn, by nearest neighbours among features.

Kynkaanniemi et al. 2019, "Improved precision and recall metric for assessing generative models", arXiv:1904.06991.
"""

import numpy as np

from ae_jax.evaluation import features as of_examples
from ae_jax.evaluation import requirements

BETTER = {"precision": "max", "recall": "max"}

_CHUNK = 1000


def evaluate(
    model, variables, data, key, *, features: str = "", sampler: str = "prior", neighbours: int = 3
) -> dict[str, float]:
    """The share of samples within the distance of some real example to its `neighbours`-th nearest real one, and the
    reverse: "precision_FEATURES", "recall_FEATURES"; of training examples, "..._floor". `features`, `sampler` and
    errors as in `ae_jax.evaluation.features.scores`.
    """
    requirements.at_least(1, precision_recall_neighbours=neighbours)
    ask = lambda rows, real: score(rows, real, neighbours)
    return of_examples.scores("precision_recall", ask, model, variables, data, key, features, sampler, neighbours)


def score(rows, real, neighbours: int = 3) -> dict[str, float]:
    """Of rows [N, F] each."""
    within = lambda points, centres: balls(points, centres, neighbours)[0].astype(bool).mean()
    return {"precision": float(within(rows, real)), "recall": float(within(real, rows))}


def balls(points, centres, neighbours: int) -> tuple[np.ndarray, np.ndarray]:
    """(in how many balls each point lies [N], whether each ball holds a point [M]); the ball of a centre reaches to its
    `neighbours`-th nearest other centre.
    """
    radii = np.concatenate(
        [np.partition(part, neighbours, axis=1)[:, neighbours] for part in _distances(centres, centres)]
    )  # the nearest of all is the centre itself
    counts, held = [], np.zeros(len(centres), bool)
    for part in _distances(points, centres):
        inside = part <= radii
        counts.append(inside.sum(axis=1))
        held |= inside.any(axis=0)
    return np.concatenate(counts), held


def _distances(a, b):
    """Squared distances [chunk, M] of the rows of `a`, some at a time, from those of `b`."""
    from scipy.spatial.distance import cdist

    for start in range(0, len(a), _CHUNK):
        yield cdist(a[start : start + _CHUNK], b, "sqeuclidean")
