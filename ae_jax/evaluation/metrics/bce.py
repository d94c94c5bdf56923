"""Binary cross-entropy between x in [0, 1] and its reconstruction, in nats per pixel."""

import math

import jax.numpy as jnp
from jax.scipy.special import xlogy

from ae_jax.core.distributions import Bernoulli
from ae_jax.evaluation import requirements
from ae_jax.evaluation.gather import mean_and_se

BETTER = {"bce_nats_per_pixel": "min"}

_EPSILON = 1e-7  # Keras clips probabilities so, and so do the published numbers


def evaluate(model, variables, data, key) -> dict[str, float]:
    """-x log x_hat - (1 - x) log(1 - x_hat), averaged over pixels and examples; x_hat at one draw of the code.
    Beside it its "floor", at x_hat = x: the entropy of grey pixels as probabilities, 0 for black and white ones.

    Logits are used as they are; means of other likelihoods are clipped to [1e-7, 1 - 1e-7].
    Raises UserError for data that are not pixels in [0, 1].
    """
    requirements.needs_pixels("bce", data.test.spec)
    scores = mean_and_se(_bce, model, variables, data.test, key)
    return {name: value for name, value in scores.items() if not name.endswith("floor_se")}


def _bce(model, variables, batch, key):
    x, likelihood = batch["x"], model.apply(variables, batch, rngs={"latent": key}).likelihood
    if isinstance(likelihood, Bernoulli):
        nats = -likelihood.log_prob(x[None])[0]
    else:
        mean = jnp.clip(likelihood.mean[0], _EPSILON, 1 - _EPSILON)
        per_pixel = x * jnp.log(mean) + (1 - x) * jnp.log1p(-mean)
        nats = -per_pixel.reshape(len(x), -1).sum(axis=1)
    floor = -(xlogy(x, x) + xlogy(1 - x, 1 - x)).reshape(len(x), -1).mean(axis=1)
    return {"bce_nats_per_pixel": nats / math.prod(x.shape[1:]), "bce_nats_per_pixel_floor": floor}
