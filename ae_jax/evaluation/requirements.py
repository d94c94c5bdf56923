"""Check what a metric requires of the model, the data and its options."""

from typing import Any

import jax.numpy as jnp

from ae_jax.core.distributions import Bernoulli
from ae_jax.core.errors import UserError
from ae_jax.core.types import Batch, DataSpec, Latent, Outputs


def at_least(least: int, **options: int) -> None:
    """Raises UserError for an option below `least`."""
    for name, value in options.items():
        if value < least:
            raise UserError(f"--{name} is {value}\nexpected at least {least}")


def needs_pixels(metric: str, spec: DataSpec, images: bool = False) -> None:
    """Raises UserError for data that are not pixels in [0, 1], or no images where they must be."""
    if spec.kind != "pixels" or (images and len(spec.shape) != 3):
        wanted = f"{'images of ' * images}pixels in [0, 1]"
        raise UserError(
            f"metric {metric!r} needs {wanted}, and these are {spec.shape} of {spec.kind}\ntry --metrics=mse"
        )


def random_codes(
    metric: str, model: Any, variables: Any, batch: Batch, key: Any, samples: int = 1
) -> tuple[Latent, ...]:
    """Return the latents of a batch, by `samples` draws. Raise UserError where there are none, or nothing is random."""
    latents = model.apply(variables, batch, samples, method="encode", rngs={"latent": key})
    if not latents:
        raise UserError(f"metric {metric!r} needs a latent, and this model has none\ntry --metrics=elbo")
    if any(latent.posterior is None for latent in latents):
        raise UserError(f"metric {metric!r} needs a random code, and this model's is deterministic\ntry --metrics=mse")
    return latents


def latent_code(outputs: Outputs) -> Any:
    """Return the code [B, D] of a model's outputs. Raise UserError for a model without latents."""
    if not outputs.latents:
        raise UserError("this model has no latents to read\ntry --metrics=elbo, --figures=curves or --task=sample")
    return outputs.code


def is_surrogate(likelihood: Any, x: Any) -> Any:
    """Whether `likelihood` is no normalised density of the values of each example of x [B, *shape]: [B] bool.

    A Bernoulli is one of zeros and ones only; of grey levels it is a loss.
    """
    if not isinstance(likelihood, Bernoulli):
        return jnp.zeros(len(x), bool)
    return ((x != 0) & (x != 1)).reshape(len(x), -1).any(axis=1)
