"""A masked autoregressive flow, fitted to the codes by maximum likelihood.

Papamakarios et al. 2017, "Masked autoregressive flow for density estimation", arXiv:1705.07057.
"""

import flax.linen as nn
import jax
import optax

from ae_jax.evaluation import samplers
from ae_jax.models.priors import flow
from ae_jax.training import loop


class _Density(nn.Module):
    """Answers the term "nll" [B], of codes in batch["x"] [B, D]."""

    size: int
    flows: int

    def setup(self):
        self.p_z = flow.Prior(self.size, self.flows)

    def __call__(self, batch, **_):
        return {"nll": -self.p_z().log_prob(batch["x"])}

    def draw(self, key, n: int):
        return self.p_z().sample(key, n)


def fit(codes, key, *, flows: int = 5, steps: int = 2000):
    """codes [N, D] -> sample(key, n) -> [n, D], by `flows` flows, after `steps` steps of Adam."""
    key_noise, key_train = jax.random.split(key)
    batches, restore = samplers.standardised(codes, key_noise)
    model, tx = _Density(codes.shape[1], flows), optax.adam(optax.cosine_decay_schedule(3e-3, steps))
    state, _ = loop.train(model, lambda terms, _: terms, tx, batches, key_train, weights={"nll": 1.0}, steps=steps)
    return lambda key, n: restore(model.apply({"params": state.params}, key, n, method="draw"))
