"""What a conditional model keeps apart: the same draws of the code in every class, and in each class many."""

import jax.numpy as jnp
import numpy as np

from ae_jax.core.errors import UserError
from ae_jax.plots import queries, style


def arrays(model, variables, data, key, *, count: int = 8) -> dict[str, np.ndarray]:
    """Means of the likelihood, "samples" [count, K, *shape]: of each of the K classes at `count` draws of its prior,
    which are the same codes in all classes, or, where the prior reads the class, come of the same noise.

    Raises UserError for a model that reads no class, or vectors.
    """
    queries.at_least(1, count=count)
    if not model.reads_label or model.spec.label_dim:
        raise UserError(
            "figure 'class_grid' needs a conditional model, and this one reads no class\ntry --figures=samples"
        )
    classes = model.spec.classes

    def codes_of(label):
        batch = {"label": jnp.full(count, label), "mask": jnp.ones(count)}
        return model.apply(variables, batch, method="prior_codes", rngs={"latent": key})[-1][0]

    codes = np.stack([codes_of(label) for label in range(classes)], axis=1)
    samples = queries.decode(model, variables, codes, np.arange(classes))
    return {"samples": samples, "limits": style.limits(model.spec, samples)}


@style.styled
def figure(arrays):
    """A row a code, a column a class."""
    columns = list(map(str, range(arrays["samples"].shape[1])))
    return style.grid(arrays["samples"], arrays["limits"], column_labels=columns, xlabel="class", ylabel="code")
