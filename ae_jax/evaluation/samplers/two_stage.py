"""A second VAE, of the codes of the first: its prior is what they are drawn from.

Dai and Wipf 2019, "Diagnosing and enhancing VAE models", arXiv:1903.05789, section 4: codes may be far from the prior
of the model that made them, but they fill their space as examples do not, and so a VAE of them can match them.
"""

import functools

import jax
import jax.numpy as jnp
import optax

from ae_jax.evaluation import samplers
from ae_jax.models import vae
from ae_jax.models.likelihoods import gaussian
from ae_jax.models.nets import mlp
from ae_jax.objectives.elbo import elbo
from ae_jax.training import loop


def fit(codes, key, *, hidden: int = 256, steps: int = 3000):
    """codes [N, D] -> sample(key, n) -> [n, D]: the second VAE has codes of the same size, two layers of `hidden` units
    either way, and a learned scale, with which samples are drawn.
    """
    key_noise, key_train = jax.random.split(key)
    batches, restore = samplers.standardised(codes, key_noise)
    model = vae.Model(
        batches.spec,
        mlp.Encoder((hidden, hidden)),
        mlp.Decoder((hidden, hidden)),
        functools.partial(gaussian.Likelihood, scale="learned"),
        latent_dim=codes.shape[1],
    )
    weights, tx = {"reconstruction": 1.0, "kl": 1.0}, optax.adam(optax.cosine_decay_schedule(3e-3, steps))
    state, _ = loop.train(model, elbo, tx, batches, key_train, weights=weights, steps=steps)

    def sample(key, n):
        key_code, key_noise = jax.random.split(key)
        likelihood = model.apply(
            {"params": state.params}, {"mask": jnp.ones(n)}, method="generate", rngs={"latent": key_code}
        )
        return restore(likelihood.sample(key_noise, 1)[0, 0])

    return sample
