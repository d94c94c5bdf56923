"""How far the codes, all together, are from the prior: maximum mean discrepancy."""

import jax
import jax.numpy as jnp

from ae_jax.core.errors import UserError
from ae_jax.evaluation import requirements
from ae_jax.evaluation.gather import code_and_label, compiled, gather

BETTER = {"mmd2_to_prior": "min", "mmd2_prior_to_prior": "min"}


def evaluate(model, variables, data, key, *, codes: int = 2000) -> dict[str, float]:
    """Unbiased squared MMD between the codes of `codes` examples and as many draws of the prior, and, beside it, of
    prior and prior (Gretton et al. 2012, JMLR 13, eq. 3). The kernel is exp(-d^2 / (2 m^2)), m the median distance
    within the draws of the prior. A model without a prior is compared with N(0, I).

    Raises UserError where there are fewer than two codes.
    """
    requirements.at_least(2, mmd_to_prior_codes=codes)
    examples, _ = data.test.spread(codes)
    key_codes, *key_draws = jax.random.split(key, 3)
    z = jnp.asarray(gather(compiled(code_and_label, model), variables, examples, key_codes)["code"])
    if len(z) < 2:
        raise UserError(f"metric 'mmd_to_prior' needs at least two codes, and there are {len(z)}\ntry a larger --limit")
    one, other = (prior_draws(model, variables, draw, z.shape) for draw in key_draws)
    squares = _squared_distances(one, one)
    median = jnp.median(squares[jnp.triu_indices(len(one), 1)])
    return {
        "mmd2_to_prior": float(_mmd2(z, one, median)),
        "mmd2_prior_to_prior": float(_mmd2(other, one, median)),
    }


def prior_draws(model, variables, key, shape):
    """Codes [N, D] of that shape, of the layer next to the data, each class in turn; N(0, I) without a prior."""
    if model.says("prior_codes"):
        batch = {"mask": jnp.ones(shape[0]), "label": jnp.arange(shape[0]) % max(model.spec.classes, 1)}
        return model.apply(variables, batch, method="prior_codes", rngs={"latent": key})[-1][0]
    if model.says("prior_of"):
        return model.apply(variables, {}, method="prior_of").sample(key, shape[0])
    return jax.random.normal(key, shape)


def _squared_distances(a, b):
    return jnp.maximum(jnp.square(a).sum(1)[:, None] + jnp.square(b).sum(1)[None] - 2 * a @ b.T, 0)


def _mmd2(a, b, median):
    """Unbiased estimate of E k(a, a') + E k(b, b') - 2 E k(a, b) for sets of one size."""
    kernel = lambda x, y: jnp.exp(-_squared_distances(x, y) / (2 * median))
    n = len(a)
    within = lambda x: (kernel(x, x).sum() - n) / (n * (n - 1))
    return within(a) + within(b) - 2 * kernel(a, b).mean()
