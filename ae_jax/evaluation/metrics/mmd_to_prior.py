"""Maximum mean discrepancy (MMD) between the latents of the data and the prior."""

import functools

import jax
import jax.numpy as jnp

from ae_jax.core import mmd
from ae_jax.core.errors import UserError
from ae_jax.evaluation import requirements
from ae_jax.evaluation.gather import code_and_label, compiled, gather

BETTER = {"mmd2_to_prior": "min", "mmd2_prior_to_prior": "min"}


def evaluate(model, variables, data, key, *, codes: int = 2000) -> dict[str, float]:
    """Estimate the squared MMD between latents and as many draws of the prior, without bias.

    The estimate is equation 3 of Gretton et al. 2012, "A kernel two-sample test", JMLR 13. The kernel is
    exp(-d^2 / (2 m^2)), where m is the median distance between draws of the prior. A model without a prior is compared
    with N(0, I).

    Args:
      model: the trained model.
      variables: the parameters and other collections of the model.
      data: the data of the evaluation.
      key: random key.
      codes: how many examples are encoded, evenly spread over the split.

    Returns:
      "mmd2_to_prior", and for comparison "mmd2_prior_to_prior", between two sets of draws of the prior.

    Raises:
      UserError: if there are fewer than two examples.
    """
    requirements.at_least(2, mmd_to_prior_codes=codes)
    examples, _ = data.test.spread(codes)
    key_codes, *key_draws = jax.random.split(key, 3)
    z = jnp.asarray(gather(compiled(code_and_label, model), variables, examples, key_codes)["code"])
    if len(z) < 2:
        raise UserError(f"metric 'mmd_to_prior' needs two examples, and there is {len(z)}\nuse a larger --limit")
    one, other = (prior_draws(model, variables, draw, z.shape) for draw in key_draws)
    squares = mmd.squared_distances(one, one)
    # Of each pair once, and of no draw with itself.
    kernel = functools.partial(mmd.gaussian, variance=jnp.median(squares[jnp.triu_indices(len(one), 1)]))
    return {
        "mmd2_to_prior": float(mmd.mmd2(z, one, kernel)),
        "mmd2_prior_to_prior": float(mmd.mmd2(other, one, kernel)),
    }


def prior_draws(model, variables, key, shape):
    """Draw latents [N, D] from the prior of the layer next to the data, or else from N(0, I).

    Args:
      model: the model.
      variables: its parameters and other collections.
      key: random key.
      shape: (N, D). Classes take turns if the prior depends on the label.
    """
    if model.says("prior_codes"):
        batch = {"mask": jnp.ones(shape[0]), "label": jnp.arange(shape[0]) % max(model.spec.classes, 1)}
        return model.apply(variables, batch, method="prior_codes", rngs={"latent": key})[-1][0]
    if model.says("prior_of"):
        return model.apply(variables, {}, method="prior_of").sample(key, shape[0])
    return jax.random.normal(key, shape)
