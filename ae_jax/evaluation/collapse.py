"""Posterior collapse: how many dimensions of the code carry anything, and how much each carries."""

import jax
import numpy as np

from ae_jax import distributions
from ae_jax.errors import UserError
from ae_jax.reduce import compiled

BETTER = {"active_units": "max"}

_ACTIVE = 0.01


def evaluate(model, variables, data, key) -> dict[str, float]:
    """Active units, those with Var_x(E_q[z]) > 0.01 (Burda et al. 2016, arXiv:1509.00519, section 5.2), of the last
    layer of codes, and KL(q(z_d|x) || p(z_d)) of each of its dimensions, in nats, averaged over the examples.

    Raises UserError for a deterministic code.
    """
    means, rates, statistics = [], [], compiled(_statistics, model)
    for number, batch in enumerate(data["test"]):
        present = np.asarray(batch["mask"]) > 0
        mean, rate = statistics(variables, batch, jax.random.fold_in(key, number))
        means.append(np.asarray(mean, np.float64)[present])
        rates.append(np.asarray(rate, np.float64)[present])
    variances, kls = np.concatenate(means).var(axis=0), np.concatenate(rates).mean(axis=0)
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
    return mean, distributions.kl_per_dimension(latent.posterior, prior) if closed else mean[:, :0]
