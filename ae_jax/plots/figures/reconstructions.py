"""Examples, the corrupted inputs of the encoder where they differ, and reconstructions."""

import numpy as np

from ae_jax.evaluation import requirements
from ae_jax.plots import queries, style


def arrays(model, variables, data, key, *, count: int = 10) -> dict[str, np.ndarray]:
    """Reconstruct examples from one draw of their latents.

    Args:
      model: the trained model.
      variables: the parameters and other collections of the model.
      data: the data of the evaluation.
      key: random key.
      count: how many examples are shown, from the first on.

    Returns:
      "original" [N, *shape]; "input", if any of the examples was corrupted; "reconstruction", means of the likelihood,
      or for melodies the most probable events, free running; "limits".
    """
    requirements.at_least(1, reconstructions_count=count)

    def per_example(variables, batch, key):
        outputs = model.apply(variables, batch, rngs={"latent": key})
        written = model.says("write")
        z = outputs.latents[-1].sample[0]
        found = model.apply(variables, z, method="write") if written else outputs.likelihood.mean[0]
        return {"original": batch["x"], "input": batch["inputs"], "reconstruction": found}

    found = queries.gather(per_example, variables, data.test, key, count)
    if np.array_equal(found["original"], found["input"]):
        del found["input"]
    return {**found, "limits": style.limits(model.spec, found["original"])}


@style.styled
def figure(arrays):
    """Draw a column for each example."""
    names = [name for name in ("original", "input", "reconstruction") if name in arrays]
    are_melodies = len(arrays["limits"]) < 2
    labels = ["data", *names[1:]] if are_melodies else names
    return style.grid([arrays[name] for name in names], arrays["limits"], row_labels=labels)
