"""Robustness to noise in the latent: examples decoded from latents with growing noise."""

import jax
import numpy as np

from ae_jax.evaluation import requirements
from ae_jax.plots import queries, style

# The scale of the noise is estimated from at least so many latents.
_SCALE_FROM = 500


def arrays(model, variables, data, key, *, count: int = 10, levels: tuple = (0.0, 0.25, 0.5, 1.0, 2.0)) -> dict:
    """Decode examples after noise was added to their latents: z + level * s * epsilon.

    s is the standard deviation of each latent dimension over the examples. The noise epsilon ~ N(0, I) of an example is
    the same at all levels.

    Args:
      model: the trained model.
      variables: the parameters and other collections of the model.
      data: the data of the evaluation.
      key: random key.
      count: how many examples are shown, from the first on.
      levels: the levels of the noise, in standard deviations of the latents.

    Returns:
      "original" [N, *shape]; "decoded" [levels, N, *shape], means of the likelihood; "levels"; "limits".
    """
    requirements.at_least(1, latent_noise_count=count)

    def per_example(variables, batch, key):
        return {"original": batch["x"], "code": queries.encode(model, variables, batch, key), **queries.label(batch)}

    found = queries.gather(per_example, variables, data.test, key, max(count, _SCALE_FROM))
    scales = np.asarray(levels, np.float32)
    noise = np.asarray(jax.random.normal(key, (count, found["code"].shape[1]))) * found["code"].std(axis=0)
    # There may be fewer examples than `count`.
    codes = found["code"][None, :count] + scales[:, None, None] * noise[None, : len(found["code"])]
    decoded = queries.decode(model, variables, codes, found["label"][:count] if "label" in found else 0)
    original = found["original"][:count]
    limits = style.limits(model.spec, original)
    return {"original": original, "decoded": decoded, "levels": scales, "limits": limits}


@style.styled
def figure(arrays):
    """Draw a row for each level of noise."""
    labels = ["original", *(style.number(level, ".2g") for level in arrays["levels"])]
    return style.grid([arrays["original"], *arrays["decoded"]], arrays["limits"], row_labels=labels, ylabel="noise")
