"""Clean images, what was left of them, and what the model makes of that."""

import jax
import numpy as np

from ae_jax.core.errors import UserError
from ae_jax.evaluation.metrics import psnr
from ae_jax.plots import queries, style


def arrays(model, variables, data, key, *, count: int = 10) -> dict[str, np.ndarray]:
    """The first `count` images as "clean", "corrupted" and "restored" [N, *shape], clipped to [0, 1]; "bicubic" where
    the corrupted ones are smaller; "psnr_db" [R], the mean over these images, of the rows of their size, "scored" [R].

    Raises UserError for data that are no images.
    """
    queries.at_least(1, count=count)
    if len(model.spec.shape) != 3:
        raise UserError(
            f"figure 'restoration' needs images, and these data are {model.spec.shape}\ntry --figures=curves"
        )

    def per_example(variables, batch, key):
        mean = model.apply(variables, batch, rngs={"latent": key}).likelihood.mean[0]
        enlarged = jax.image.resize(batch["inputs"], batch["x"].shape, "bicubic")
        return {"clean": batch["x"], "corrupted": batch["inputs"], "bicubic": enlarged, "restored": mean}

    found = queries.gather(per_example, variables, data.test, key, count)
    found = {name: np.clip(found[name], 0, 1) for name in ("clean", "corrupted", "bicubic", "restored")}
    if found["corrupted"].shape == found["clean"].shape:
        del found["bicubic"]
    sized = {name: images for name, images in found.items() if images.shape == found["clean"].shape and name != "clean"}
    scores = {"psnr_db": np.array([float(psnr.decibels(images, found["clean"]).mean()) for images in sized.values()])}
    return {**found, **scores, "scored": np.array(list(sized)), "limits": style.limits(model.spec, found["clean"])}


@style.styled
def figure(arrays):
    """One column an image; each row that is scored has its decibels."""
    names = [name for name in ("clean", "corrupted", "bicubic", "restored") if name in arrays]
    scores = {name: f" {value:.1f} dB" for name, value in zip(arrays["scored"], arrays["psnr_db"], strict=True)}
    labels = [name + scores.get(name, "") for name in names]
    return style.grid([arrays[name] for name in names], arrays["limits"], row_labels=labels)
