"""Precision and recall that single outliers cannot feign: density and coverage, by nearest neighbours among features.

Naeem et al. 2020, "Reliable fidelity and diversity metrics for generative models", arXiv:2002.09797, eq. 4 and 6.
"""

from ae_jax.evaluation import features as of_examples
from ae_jax.evaluation import requirements
from ae_jax.evaluation.metrics.precision_recall import balls

BETTER = {"density": "max", "coverage": "max"}


def evaluate(
    model, variables, data, key, *, features: str = "", sampler: str = "prior", neighbours: int = 5
) -> dict[str, float]:
    """In how many balls around real examples a sample lies, over `neighbours`, about 1 where the two agree, and what
    share of the balls holds a sample; each ball reaches to the `neighbours`-th nearest real example.
    "density_FEATURES", "coverage_FEATURES"; of training examples, "..._floor". `features`, `sampler` and errors as in
    `ae_jax.evaluation.features.scores`.
    """
    requirements.at_least(1, density_coverage_neighbours=neighbours)
    ask = lambda rows, real: score(rows, real, neighbours)
    return of_examples.scores("density_coverage", ask, model, variables, data, key, features, sampler, neighbours)


def score(rows, real, neighbours: int = 5) -> dict[str, float]:
    """Of rows [N, F] each."""
    counts, held = balls(rows, real, neighbours)
    return {"density": float(counts.mean() / neighbours), "coverage": float(held.mean())}
