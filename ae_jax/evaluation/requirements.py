"""Checks of what a metric requires of the model, the data and its options."""

from typing import Any

import jax.numpy as jnp

from ae_jax.core.distributions import Bernoulli
from ae_jax.core.errors import UserError
from ae_jax.core.types import Batch, DataSpec, Latent, Outputs


def at_least(least: int, **options: int) -> None:
    """Check that options are not too small.

    Args:
      least: the smallest value that is allowed.
      **options: {name of the flag: value}.

    Raises:
      UserError: for the first option below `least`.
    """
    for name, value in options.items():
        if value < least:
            raise UserError(f"--{name} is {value}\nuse at least {least}")


def needs_pixels(metric: str, spec: DataSpec, images: bool = False) -> None:
    """Check that examples are pixels in [0, 1].

    Args:
      metric: the name of the metric that requires it.
      spec: the description of one example.
      images: whether they must also be images [H, W, C].

    Raises:
      UserError: for other data.
    """
    if spec.kind != "pixels" or (images and len(spec.shape) != 3):
        wanted = "images of pixels in [0, 1]" if images else "pixels in [0, 1]"
        raise UserError(
            f"metric {metric!r} needs {wanted}, and these examples have shape {spec.shape} and kind {spec.kind!r}\n"
            "use --metrics=mse"
        )


def random_codes(
    metric: str, model: Any, variables: Any, batch: Batch, key: Any, samples: int = 1
) -> tuple[Latent, ...]:
    """Encode a batch and check that its latents are random.

    Args:
      metric: the name of the metric that requires it.
      model: the model.
      variables: the parameters and other collections of the model.
      batch: the examples.
      key: random key.
      samples: S, how many samples of each latent are drawn.

    Returns:
      The latents, top level first, with samples [S, B, D].

    Raises:
      UserError: if a latent is deterministic, or if there is none.
    """
    latents = model.apply(variables, batch, samples, method="encode", rngs={"latent": key})
    if not latents:
        raise UserError(f"metric {metric!r} needs a latent, and this model has none\nuse --metrics=elbo")
    if any(latent.posterior is None for latent in latents):
        raise UserError(
            f"metric {metric!r} needs a random latent, and this model's latent is deterministic\nuse --metrics=mse"
        )
    return latents


def latent_code(outputs: Outputs) -> Any:
    """Return the code [B, D] of a model's outputs. Raise UserError for a model without latents."""
    if not outputs.latents:
        raise UserError("this model has no latents to read\nuse --metrics=elbo, --figures=curves or --task=sample")
    return outputs.code


def is_surrogate(likelihood: Any, x: Any) -> Any:
    """Tell for which examples a likelihood is a loss and no normalised density.

    A Bernoulli distribution is a density of zeros and ones only. Of grey levels it is a loss.

    Args:
      likelihood: distribution over x.
      x: examples [B, *shape].

    Returns:
      Booleans [B].
    """
    if not isinstance(likelihood, Bernoulli):
        return jnp.zeros(len(x), bool)
    return ((x != 0) & (x != 1)).reshape(len(x), -1).any(axis=1)
