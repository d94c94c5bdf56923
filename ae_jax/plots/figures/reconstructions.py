"""Examples, what the encoder read of them where that is not the same, and their reconstructions."""

import numpy as np

from ae_jax.plots import queries, style


def arrays(model, variables, data, key, *, count: int = 10) -> dict[str, np.ndarray]:
    """The first `count` examples, "original" [N, *shape], and "reconstruction", the likelihood's mean at a draw of the
    code, of melodies the most probable events, each fed back; "input" where any of the examples was corrupted.
    """
    queries.at_least(1, count=count)

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
    """One column an example."""
    names = [name for name in ("original", "input", "reconstruction") if name in arrays]
    return style.grid([arrays[name] for name in names], arrays["limits"], row_labels=names)
