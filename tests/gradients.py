"""Gradients of objectives by one module of a model, compared in the mean over many draws."""

import jax
import jax.flatten_util
import numpy as np

from ae_jax.training import players


def gradient_by(model, variables, objective, module, samples, batch, key):
    """The gradient, laid out flat, of the terms of the player that has the module."""

    def loss(part):
        params = {**variables["params"], module: part}
        outputs = model.apply({"params": params}, batch, num_samples=samples, rngs={"latent": key})
        terms = players.by_player(objective(outputs, batch))
        mine = terms[players.owner(module, list(terms), model.roles)]
        return sum(values.mean() for values in mine.values())

    return jax.flatten_util.ravel_pytree(jax.grad(loss)(variables["params"][module]))[0]


def assert_same_in_the_mean(model, variables, batch, one, other, module, samples, keys=4000):
    """The mean gradients of two objectives by one module, on the same draws, within four standard errors."""
    gradient = lambda objective, key: gradient_by(model, variables, objective, module, samples, batch, key)
    difference = lambda key: gradient(one, key) - gradient(other, key)
    found = np.asarray(jax.jit(jax.vmap(difference))(jax.random.split(jax.random.key(1), keys)), float)
    error = found.std(axis=0) / np.sqrt(keys)
    assert (error > 0).all() and (np.abs(found.mean(axis=0)) < 4 * error).all()
