"""Autoencoders in JAX and Flax. Heavy packages are imported only when they are needed."""

from typing import Any

__version__ = "0.1.0"


def fit(x: Any, y: Any = None, **options: Any) -> Any:
    """Train an autoencoder on arrays, for example `fit(x, model="vae", latent_dim=2)`.

    Args:
      x: the training examples: images [N, H, W] or [N, H, W, C], or vectors [N, T].
      y: the labels if there are any: classes [N] or vectors [N, L].
      **options: further arguments of `ae_jax.experiments.fitting.fit`, such as model, steps, epochs and settings.

    Returns:
      An `ae_jax.experiments.autoencoder.Autoencoder` with the methods encode, decode, reconstruct, sample, interpolate,
      score, evaluate, figure and save.
    """
    # Importing JAX takes seconds, which commands such as `ae-jax --help` need not wait for.
    from ae_jax.experiments import fitting

    return fitting.fit(x, y, **options)


def load(workdir: str, **options: Any) -> Any:
    """Open the trained run in a directory.

    Args:
      workdir: the run's directory.
      **options: keyword arguments of `ae_jax.experiments.analysis.load`. With trust=("MODULE",) the run's config may
        name code in this module outside the package, which is then imported and run.

    Returns:
      An `ae_jax.experiments.autoencoder.Autoencoder`, as `fit` returns it. It unpacks as model, variables, config.

    Raises:
      UserError: there is no such run, or its config names a module that is not trusted.
    """
    from ae_jax.experiments import autoencoder

    return autoencoder.load(workdir, **options)
