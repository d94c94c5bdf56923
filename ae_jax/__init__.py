"""Autoencoders in JAX and Flax. Heavy packages are imported only when they are needed."""

from typing import Any

__version__ = "0.1.0"


def load(workdir: str, **options: Any) -> tuple[Any, dict[str, Any], Any]:
    """Open a trained run.

    Args:
      workdir: the run's directory.
      **options: keyword arguments of `ae_jax.experiments.analysis.load`. With trust=("MODULE",) the run's config may
        name code in this module outside the package, which is then imported and run.

    Returns:
      (model, variables, config): a Linen module, its variables {collection: tree}, and the run's config.

    Raises:
      UserError: there is no such run, or its config names a module that is not trusted.
    """
    # Importing JAX takes seconds, which commands such as `ae-jax --help` need not wait for.
    from ae_jax.experiments import analysis

    trained = analysis.load(workdir, **options)
    return trained.experiment.model, trained.variables, trained.experiment.config
