"""What a conditional model keeps apart: the same code in every class, and in each class many codes."""

import jax
import jax.numpy as jnp
import numpy as np

from ae_jax import figures, plots
from ae_jax.errors import UserError


def arrays(model, variables, data, key, *, count: int = 8) -> dict[str, np.ndarray]:
    """Means of the likelihood, "samples" [count, K, *shape], at `count` codes from N(0, I), each in all K classes.

    Raises UserError for a model that reads no class, or vectors.
    """
    plots.at_least(1, count=count)
    if not hasattr(model, "condition"):
        raise UserError(
            "figure 'class_grid' needs a conditional model, and this one reads no class\ntry --figures=samples"
        )
    classes = model.spec.classes
    z = jnp.repeat(jax.random.normal(key, (count, model.latent_dim)), classes, axis=0)
    batch = {"label": jnp.tile(jnp.arange(classes), count), "mask": jnp.ones(count * classes)}
    means = np.asarray(model.apply(variables, (z[None],), batch, method="decode").mean[0])
    samples = means.reshape(count, classes, *means.shape[1:])
    return {"samples": samples, "limits": figures.limits(model.spec, samples)}


@figures.styled
def figure(arrays):
    """A row a code, a column a class."""
    columns = list(map(str, range(arrays["samples"].shape[1])))
    return figures.grid(arrays["samples"], arrays["limits"], column_labels=columns, xlabel="class", ylabel="code")
