"""Binary cross-entropy between pixels in [0, 1] and their reconstructions."""

import math

import jax.numpy as jnp
from jax.scipy.special import xlogy

from ae_jax.core.distributions import Bernoulli
from ae_jax.evaluation import reconstructed, requirements
from ae_jax.evaluation.gather import mean_and_se

BETTER = {"bce_nats_per_pixel": "min"}

# Keras clips probabilities at this value, and the published numbers were computed with Keras.
_EPSILON = 1e-7


def evaluate(model, variables, data, key) -> dict[str, float]:
    """Measure the binary cross-entropy -x log x_hat - (1 - x) log(1 - x_hat) per pixel.

    It is averaged over pixels and examples, with x_hat at one draw of the latent. For a Bernoulli likelihood it is
    computed from the logits. The means of other likelihoods are clipped to [1e-7, 1 - 1e-7].

    Returns:
      "bce_nats_per_pixel", and "bce_nats_per_pixel_floor", its smallest possible value: the cross-entropy at x_hat = x,
      which is 0 for black and white pixels.

    Raises:
      UserError: for data that are not pixels in [0, 1].
    """
    requirements.needs_pixels("bce", data.test.spec)
    scores = mean_and_se(_bce, model, variables, data.test, key)
    # The floor is a property of the data, and its standard error tells nothing about the model.
    return {name: value for name, value in scores.items() if not name.endswith("floor_se")}


def _bce(model, variables, batch, key):
    likelihood = model.apply(variables, batch, rngs={"latent": key}).likelihood
    if isinstance(likelihood, Bernoulli):
        x = batch["x"]
        nats = -likelihood.log_prob(x[None])[0]
    else:
        x, x_hat = reconstructed.pair(model, batch, likelihood.mean[0])
        mean = jnp.clip(x_hat, _EPSILON, 1 - _EPSILON)
        per_pixel = x * jnp.log(mean) + (1 - x) * jnp.log1p(-mean)
        nats = -per_pixel.reshape(len(x), -1).sum(axis=1)
    # `xlogy` is 0 at 0, where x log x would be NaN.
    floor = -(xlogy(x, x) + xlogy(1 - x, 1 - x)).reshape(len(x), -1).mean(axis=1)
    return {"bce_nats_per_pixel": nats / math.prod(x.shape[1:]), "bce_nats_per_pixel_floor": floor}
