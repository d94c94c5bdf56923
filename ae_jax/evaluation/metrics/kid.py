"""Kernel distance between the features of samples and those of real examples, without bias.

Binkowski et al. 2018, "Demystifying MMD GANs", arXiv:1801.01401, section 4. It is the KID of the literature only with
features of the Inception network. Here the name of the feature extractor is part of the metric's name.
"""

import numpy as np

from ae_jax.evaluation import features as of_examples
from ae_jax.evaluation.gather import mean_with_error

BETTER = {"kid": "min"}

# At most so many examples in a block, and at least so many blocks, from which the standard error is computed.
_BLOCK, _BLOCKS = 1000, 10


def evaluate(model, variables, data, key, *, features: str = "", sampler: str = "prior") -> dict[str, float]:
    """Estimate the squared maximum mean discrepancy of samples, with the kernel (a.b / F + 1)^3.

    It is the mean over blocks of at most 1,000 examples. F is the number of features.

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
      "kid_EXTRACTOR" of samples and "kid_EXTRACTOR_floor" of training examples, each against as many examples of the
      evaluated split. Their standard errors are over the blocks.

    Raises:
      UserError: as `ae_jax.evaluation.features.scores`.
    """
    return of_examples.scores("kid", score, model, variables, data, key, features, sampler)


def score(rows, real) -> dict[str, float]:
    """Return the squared discrepancy of two sets of features [N, F], with its standard error.

    Both are computed over the blocks.
    """
    # Examples may be sorted by class, and the blocks must not be. RandomState is the same in every version of NumPy.
    order = np.random.RandomState(0).permutation(len(rows))
    # A block needs two examples, because the estimate has a division by n - 1.
    count = min(max(_BLOCKS, -(-len(rows) // _BLOCK)), len(rows) // 2)
    blocks = np.array_split(order, count)
    return mean_with_error("kid", np.array([mmd2(rows[block], real[block]) for block in blocks]))


def mmd2(a, b) -> float:
    """Estimate E k(a, a') + E k(b, b') - 2 E k(a, b) without bias, from sets [n, F] of one size."""
    return _within(a) + _within(b) - 2 * _kernel(a, b).mean()


def _kernel(a, b):
    return (a @ b.T / a.shape[1] + 1) ** 3


def _within(a):
    """Return the mean of the kernel over all pairs of different rows."""
    n = len(a)
    values = _kernel(a, a)
    return (values.sum() - np.trace(values)) / (n * (n - 1))
