"""Clean images, what was left of them, and what the model makes of that."""

import jax
import jax.numpy as jnp
import numpy as np

from ae_jax import figures, plots
from ae_jax.errors import UserError


def arrays(model, variables, data, key, *, count: int = 10) -> dict[str, np.ndarray]:
    """The first `count` images as "clean", "corrupted" and "restored" [N, *shape], clipped to [0, 1]; "bicubic" where
    the corrupted ones are smaller; "psnr_db", the mean over these images of each row but the first.

    Raises UserError for data that are no images.
    """
    plots.at_least(1, count=count)
    if len(model.spec.shape) != 3:
        raise UserError(
            f"figure 'restoration' needs images, and these data are {model.spec.shape}\ntry --figures=curves"
        )

    def per_example(variables, batch, key):
        mean = model.apply(variables, batch, rngs={"latent": key}).likelihood.mean[0]
        enlarged = jax.image.resize(batch["inputs"], batch["x"].shape, "bicubic")
        return {"clean": batch["x"], "corrupted": batch["inputs"], "bicubic": enlarged, "restored": mean}

    found = plots.gather(per_example, variables, data["test"], key, count)
    found = {name: np.clip(found[name], 0, 1) for name in ("clean", "corrupted", "bicubic", "restored")}
    if found["corrupted"].shape == found["clean"].shape:
        del found["bicubic"]
    sized = {name: images for name, images in found.items() if images.shape == found["clean"].shape and name != "clean"}
    mse = {name: np.square(images - found["clean"]).mean(axis=(1, 2, 3)) for name, images in sized.items()}
    psnr = [f"{name} {float(-10 * jnp.log10(jnp.maximum(m, 1e-10)).mean()):.1f} dB" for name, m in mse.items()]
    return {**found, "psnr_db": np.array(psnr), "limits": figures.limits(model.spec, found["clean"])}


@figures.styled
def figure(arrays):
    """One column an image."""
    names = [name for name in ("clean", "corrupted", "bicubic", "restored") if name in arrays]
    labels = {text.split()[0]: text for text in map(str, arrays["psnr_db"])}
    return figures.grid(
        [arrays[name] for name in names], arrays["limits"], row_labels=[labels.get(n, n) for n in names]
    )
