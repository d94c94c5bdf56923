"""Autoencoders in JAX and Flax. Nothing heavy is imported before it is needed."""

from typing import Any

__version__ = "0.1.0"


def load(workdir: str, **options: Any) -> tuple[Any, dict[str, Any], Any]:
    """Return (model, variables, config) of a trained run. The options are those of `ae_jax.experiments.analysis.load`.

    trust=("MODULE",) lets the run's config name code outside this package, which then runs here.
    """
    from ae_jax.experiments import analysis

    trained = analysis.load(workdir, **options)
    return trained.experiment.model, trained.variables, trained.experiment.config
