"""Melodies written from latents of the prior, at several temperatures."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from ae_jax.core.errors import UserError
from ae_jax.evaluation import requirements
from ae_jax.plots import style


def arrays(model, variables, data, key, *, count: int = 4, temperatures: tuple = ("0.2", "0.7", "1.0")) -> dict:
    """Write melodies from the same latents at each temperature of the events' softmax.

    Args:
      model: the trained model.
      variables: the parameters and other collections of the model.
      data: the data of the evaluation, of which nothing is read.
      key: random key.
      count: how many latents are drawn from the prior.
      temperatures: temperatures of the softmax from which events are drawn, above 0.

    Returns:
      "samples" [temperatures, count, T], grids of events; "temperature"; "bar", the number of events in a bar.

    Raises:
      UserError: for a model that does not write melodies, or a temperature that is not a number above 0.
    """
    requirements.at_least(1, melody_samples_count=count)
    if not model.says("write"):
        raise UserError("figure 'melody_samples' needs a model that writes melodies\nuse --figures=samples")
    values = _numbers(temperatures)
    key_codes, key_events = jax.random.split(key)
    batch = {"mask": jnp.ones(count)}
    z = model.apply(variables, batch, method="prior_codes", rngs={"latent": key_codes})[-1][0]
    samples = []
    for value in values:
        # The same key at each temperature, so that the melodies differ by the temperature alone.
        written = model.apply(variables, z, value, method="write", rngs={"sampling": key_events})
        samples.append(np.asarray(written))
    return {"samples": np.stack(samples), "temperature": np.array(values), "bar": np.array(model.spec.bar)}


def _numbers(temperatures) -> list[float]:
    """Return temperatures as numbers. Raise UserError unless all are finite and above 0."""
    try:
        values = [float(text) for text in temperatures]
    except ValueError:
        values = []
    if not values or not all(0 < value < math.inf for value in values):
        given = ",".join(map(str, temperatures))
        raise UserError(f"--melody_samples_temperatures is {given}\nuse numbers above 0, such as 0.2,0.7,1.0")
    return values


@style.styled
def figure(arrays):
    """Draw a row for each temperature and a column for each latent."""
    labels = [f"temperature\n{value:g}" for value in arrays["temperature"]]
    return style.piano_rolls(arrays["samples"], row_labels=labels, bar=int(arrays["bar"]))
