"""Examples decoded after noise of growing size was added to their codes."""

import jax
import numpy as np

from ae_jax.plots import queries, style


def arrays(model, variables, data, key, *, count: int = 10, levels: tuple = (0.0, 0.25, 0.5, 1.0, 2.0)) -> dict:
    """The first `count` examples, "original" [N, *shape], and "decoded" [levels, N, *shape]: the likelihood's means at
    z + level * s * epsilon, s the standard deviation of each dimension of the codes, epsilon ~ N(0, I).
    """
    queries.at_least(1, count=count)

    def per_example(variables, batch, key):
        return {"original": batch["x"], "code": queries.encode(model, variables, batch, key), **queries.label(batch)}

    found = queries.gather(per_example, variables, data.test, key, max(count, 500))
    levels = np.asarray(levels, np.float32)
    noise = np.asarray(jax.random.normal(key, (count, found["code"].shape[1]))) * found["code"].std(axis=0)
    codes = found["code"][None, :count] + levels[:, None, None] * noise[None, : len(found["code"])]
    decoded = queries.decode(model, variables, codes, found["label"][:count] if "label" in found else 0)
    original = found["original"][:count]
    limits = style.limits(model.spec, original)
    return {"original": original, "decoded": decoded, "levels": levels, "limits": limits}


@style.styled
def figure(arrays):
    """A row a level of noise, in standard deviations of the codes."""
    labels = ["original", *(style.number(level, ".2g") for level in arrays["levels"])]
    return style.grid([arrays["original"], *arrays["decoded"]], arrays["limits"], row_labels=labels, ylabel="noise")
