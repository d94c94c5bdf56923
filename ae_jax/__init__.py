"""Autoencoders in JAX and Flax. Nothing heavy is imported before it is needed."""

from typing import Any

__version__ = "0.1.0"


def fit(x: Any, y: Any = None, **options: Any) -> Any:
    """Train an autoencoder on arrays, for example `fit(x, model="vae", latent_dim=2)`.

    Args:
      x: training examples: images [N, H, W] or [N, H, W, C], or vectors [N, T].
      y: labels, classes [N] or vectors [N, L], if there are any.
      **options: the other arguments of `ae_jax.experiments.fitting.fit`: model, steps, epochs, settings, ...

    Returns:
      An `ae_jax.experiments.autoencoder.Autoencoder` with the methods encode, decode, reconstruct, sample, interpolate,
      score, evaluate, figure and save.
    """
    from ae_jax.experiments import fitting

    return fitting.fit(x, y, **options)


def load(workdir: str, **options: Any) -> Any:
    """Open the trained run in a directory.

    Args:
      workdir: the run directory.
      **options: those of `ae_jax.experiments.analysis.load`. trust=("MODULE",) lets the run's config name code outside
        this package, which then runs here.

    Returns:
      An `ae_jax.experiments.autoencoder.Autoencoder`, as `fit` returns it. It unpacks as model, variables, config.
    """
    from ae_jax.experiments import autoencoder

    return autoencoder.load(workdir, **options)
