"""Posterior collapse: how many dimensions of the code carry anything, and how much each carries."""

import numpy as np

from ae_jax import distributions
from ae_jax.errors import UserError
from ae_jax.reduce import compiled, gather

BETTER = {"active_units": "max"}

_ACTIVE = 0.01


def evaluate(model, variables, data, key) -> dict[str, float]:
    """Active units, those with Var_x(E_q[z]) > 0.01 (Burda et al. 2016, arXiv:1509.00519, section 5.2), of the last
    layer of codes, and KL(q(z_d|x) || p(z_d)) of each of its dimensions, in nats, averaged over the examples.

    Raises UserError for a deterministic code.
    """
    found = gather(compiled(_statistics, model), variables, data["test"], key)
    variances, kls = found["mean"].var(axis=0, dtype=np.float64), found["kl"].mean(axis=0, dtype=np.float64)
    return {
        "active_units": float((variances > _ACTIVE).sum()),
        **{f"kl_dimension_{d}": float(nats) for d, nats in enumerate(kls)},
    }


def _statistics(model, variables, batch, key):
    latent = model.apply(variables, batch, method="encode", rngs={"latent": key})[-1]
    if latent.posterior is None:
        raise UserError("metric 'collapse' needs a random code, and this model's is deterministic\ntry --metrics=mse")
    mean, prior = latent.posterior.mean, latent.prior
    closed = distributions.has_closed_kl(latent.posterior, prior)
    return {"mean": mean, "kl": distributions.kl_per_dimension(latent.posterior, prior) if closed else mean[:, :0]}
