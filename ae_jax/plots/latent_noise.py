"""Examples decoded after noise of growing size was added to their codes."""

import jax
import numpy as np

from ae_jax import figures, plots


def arrays(model, variables, data, key, *, count: int = 10, levels: tuple = (0.0, 0.25, 0.5, 1.0, 2.0)) -> dict:
    """The first `count` examples, "original" [N, *shape], and "decoded" [levels, N, *shape]: the likelihood's means at
    z + level * s * epsilon, s the standard deviation of each dimension of the codes, epsilon ~ N(0, I).
    """
    plots.at_least(1, count=count)

    def per_example(variables, batch, key):
        return {"original": batch["x"], "code": plots.encode(model, variables, batch, key), **plots.label(batch)}

    found = plots.gather(per_example, variables, data["test"], key, max(count, 500))
    levels = np.asarray(levels, np.float32)
    noise = np.asarray(jax.random.normal(key, (count, found["code"].shape[1]))) * found["code"].std(axis=0)
    codes = found["code"][None, :count] + levels[:, None, None] * noise[None, : len(found["code"])]
    decoded = plots.decode(model, variables, codes, found["label"][:count] if "label" in found else 0)
    original = found["original"][:count]
    limits = figures.limits(model.spec, original)
    return {"original": original, "decoded": decoded, "levels": levels, "limits": limits}


@figures.styled
def figure(arrays):
    """A row a level of noise, in standard deviations of the codes."""
    labels = ["original", *(figures.number(level, ".2g") for level in arrays["levels"])]
    return figures.grid([arrays["original"], *arrays["decoded"]], arrays["limits"], row_labels=labels, ylabel="noise")
