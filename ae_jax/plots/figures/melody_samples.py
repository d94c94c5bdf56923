"""New melodies at several temperatures: the same codes, drawn from the prior, written more or less at random."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from ae_jax.core.errors import UserError
from ae_jax.plots import queries, style


def arrays(model, variables, data, key, *, count: int = 4, temperatures: tuple = ("0.2", "0.7", "1.0")) -> dict:
    """`count` melodies at each of the "temperature" [K] of the events' softmax: "samples" [K, N, T].

    Raises UserError for a model that does not write melodies, or a temperature that is no number above 0.
    """
    queries.at_least(1, count=count)
    if not model.says("write"):
        raise UserError("figure 'melody_samples' needs a model that writes melodies\ntry --figures=samples")
    try:
        values = [float(text) for text in temperatures]
    except ValueError:
        values = []
    if not values or not all(0 < value < math.inf for value in values):
        raise UserError(f"temperatures are {','.join(map(str, temperatures))}\nexpected numbers above 0")
    key_codes, key_events = jax.random.split(key)
    batch = {"mask": jnp.ones(count)}
    z = model.apply(variables, batch, method="prior_codes", rngs={"latent": key_codes})[-1][0]
    write = lambda value: model.apply(variables, z, value, method="write", rngs={"sampling": key_events})
    samples = np.stack([np.asarray(write(value)) for value in values])
    return {"samples": samples, "temperature": np.array(values)}


@style.styled
def figure(arrays):
    """A row a temperature, a column a code."""
    labels = [f"temperature {value:g}" for value in arrays["temperature"]]
    return style.piano_rolls(arrays["samples"], row_labels=labels)
