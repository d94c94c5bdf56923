"""Restoration: clean images, corrupted inputs, and what the model restores."""

import jax
import numpy as np

from ae_jax.core.errors import UserError
from ae_jax.evaluation import requirements
from ae_jax.evaluation.metrics import psnr
from ae_jax.plots import queries, style

_ROWS = ("clean", "corrupted", "bicubic", "restored")


def arrays(model, variables, data, key, *, count: int = 10) -> dict[str, np.ndarray]:
    """Restore corrupted images and measure the peak signal-to-noise ratio (PSNR).

    Args:
      model: the trained model.
      variables: the parameters and other collections of the model.
      data: the data of the evaluation.
      key: random key.
      count: how many images are shown, from the first on.

    Returns:
      "clean", "corrupted" and "restored" [N, *shape], clipped to [0, 1]; "bicubic", an enlargement, if the corrupted
      images are smaller; "scored", the names of the rows that have the size of the clean images, and "psnr_db", their
      PSNR in decibels, averaged over these images; "limits".

    Raises:
      UserError: for data that are not images.
    """
    requirements.at_least(1, restoration_count=count)
    if len(model.spec.shape) != 3:
        raise UserError(
            f"figure 'restoration' needs images, and these examples have shape {model.spec.shape}\nuse --figures=curves"
        )

    def per_example(variables, batch, key):
        mean = model.apply(variables, batch, rngs={"latent": key}).likelihood.mean[0]
        enlarged = jax.image.resize(batch["inputs"], batch["x"].shape, "bicubic")
        return {"clean": batch["x"], "corrupted": batch["inputs"], "bicubic": enlarged, "restored": mean}

    found = queries.gather(per_example, variables, data.test, key, count)
    found = {name: np.clip(found[name], 0, 1) for name in _ROWS}
    clean = found["clean"]
    if found["corrupted"].shape == clean.shape:
        del found["bicubic"]
    scored = [name for name, images in found.items() if name != "clean" and images.shape == clean.shape]
    decibels = [float(psnr.decibels(found[name], clean).mean()) for name in scored]
    limits = style.limits(model.spec, clean)
    return {**found, "psnr_db": np.array(decibels), "scored": np.array(scored), "limits": limits}


@style.styled
def figure(arrays):
    """Draw a column for each image. The labels of scored rows have their decibels."""
    names = [name for name in _ROWS if name in arrays]
    scores = {name: f" {value:.1f} dB" for name, value in zip(arrays["scored"], arrays["psnr_db"], strict=True)}
    labels = [name + scores.get(name, "") for name in names]
    return style.grid([arrays[name] for name in names], arrays["limits"], row_labels=labels)
