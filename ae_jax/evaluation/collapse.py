"""Posterior collapse: how many dimensions of the code carry anything, and how much each carries."""

import jax
import numpy as np

from ae_jax import distributions
from ae_jax.errors import UserError

BETTER = {"active_units": "max"}

_ACTIVE = 0.01


def evaluate(model, variables, data, key) -> dict[str, float]:
    """Active units, those with Var_x(E_q[z]) > 0.01 (Burda et al. 2016, arXiv:1509.00519, section 5.2), of the last
    layer of codes, and KL(q(z_d|x) || p(z_d)) of each of its dimensions, in nats, averaged over the examples.
    """

    @jax.jit
    def statistics(variables, batch, key):
        latent = model.apply(variables, batch, method="encode", rngs={"latent": key})[-1]
        if latent.posterior is None:
            raise UserError(
                "metric 'collapse' needs a random code, and this model's is deterministic\ntry --metrics=mse"
            )
        if not distributions.has_closed_kl(latent.posterior, latent.prior):
            return latent.posterior.mean, None
        return latent.posterior.mean, distributions.kl_per_dimension(latent.posterior, latent.prior)

    means, rates = [], []
    for number, batch in enumerate(data["test"]):
        present = np.asarray(batch["mask"]) > 0
        mean, rate = statistics(variables, batch, jax.random.fold_in(key, number))
        means.append(np.asarray(mean, np.float64)[present])
        if rate is not None:
            rates.append(np.asarray(rate, np.float64)[present])
    variances = np.concatenate(means).var(axis=0)
    kls = np.concatenate(rates).mean(axis=0) if rates else ()
    return {
        "active_units": float((variances > _ACTIVE).sum()),
        **{f"kl_dimension_{d}": float(nats) for d, nats in enumerate(kls)},
    }
