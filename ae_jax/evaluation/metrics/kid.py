"""The kernel distance between the features of samples and of real examples, without bias.

Binkowski et al. 2018, "Demystifying MMD GANs", arXiv:1801.01401, section 4; here the features are named.
"""

import numpy as np

from ae_jax.evaluation import features as of_examples
from ae_jax.evaluation.gather import mean_with_error

BETTER = {"kid": "min"}

_BLOCK, _BLOCKS = 1000, 10  # at most so many examples, at least so many blocks, whose spread is the error


def evaluate(model, variables, data, key, *, features: str = "", sampler: str = "prior") -> dict[str, float]:
    """The squared MMD with kernel (a.b / F + 1)^3, of samples as "kid_FEATURES", of training examples as
    "kid_FEATURES_floor", each against as many of the split: the mean over blocks of at most 1,000, "..._se" its
    standard error. `features`, `sampler` and errors as in `ae_jax.evaluation.features.scores`.
    """
    return of_examples.scores("kid", score, model, variables, data, key, features, sampler)


def score(rows, real) -> dict[str, float]:
    """Of rows [N, F] each."""
    order = np.random.RandomState(0).permutation(len(rows))  # examples may be sorted
    blocks = np.array_split(order, min(max(_BLOCKS, -(-len(rows) // _BLOCK)), len(rows) // 2))
    return mean_with_error("kid", np.array([mmd2(rows[block], real[block]) for block in blocks]))


def mmd2(a, b) -> float:
    """The unbiased estimate of E k(a, a') + E k(b, b') - 2 E k(a, b) from sets of one size."""
    kernel = lambda x, y: (x @ y.T / x.shape[1] + 1) ** 3
    n = len(a)
    within = lambda x: (kernel(x, x).sum() - np.trace(kernel(x, x))) / (n * (n - 1))
    return within(a) + within(b) - 2 * kernel(a, b).mean()
