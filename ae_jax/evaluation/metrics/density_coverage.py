"""Density and coverage: precision and recall that outliers cannot inflate.

Both are computed from nearest neighbours among features.

Naeem et al. 2020, "Reliable fidelity and diversity metrics for generative models", arXiv:2002.09797.
"""

import functools

from ae_jax.evaluation import features as of_examples
from ae_jax.evaluation import requirements
from ae_jax.evaluation.metrics.precision_recall import balls

BETTER = {"density": "max", "coverage": "max"}


def evaluate(
    model, variables, data, key, *, features: str = "", sampler: str = "prior", neighbours: int = 5
) -> dict[str, float]:
    """Measure density and coverage of samples (Naeem et al. 2020, equations 4 and 6).

    Each real example is the centre of a ball that reaches to its k-th nearest real example. Density is the average
    number of balls that contain a sample, divided by k; it is about 1 if the distributions agree. Coverage is the share
    of balls that contain a sample.

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
      "density_EXTRACTOR" and "coverage_EXTRACTOR" of samples, and "..._floor" of training examples.

    Raises:
      UserError: as `ae_jax.evaluation.features.scores`.
    """
    requirements.at_least(1, density_coverage_neighbours=neighbours)
    ask = functools.partial(score, neighbours=neighbours)
    return of_examples.scores("density_coverage", ask, model, variables, data, key, features, sampler, neighbours)


def score(rows, real, neighbours: int = 5) -> dict[str, float]:
    """Return density and coverage of samples among real examples.

    Args:
      rows: features [N, F] of samples.
      real: features [N, F] of real examples.
      neighbours: k.
    """
    counts, held = balls(rows, real, neighbours)
    return {"density": float(counts.mean() / neighbours), "coverage": float(held.mean())}
