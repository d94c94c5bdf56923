"""Samples of a conditional model: the same latents decoded in every class."""

import jax.numpy as jnp
import numpy as np

from ae_jax.core.errors import UserError
from ae_jax.evaluation import requirements
from ae_jax.plots import queries, style


def arrays(model, variables, data, key, *, count: int = 8) -> dict[str, np.ndarray]:
    """Decode draws of the prior in each of the K classes.

    All classes share the same latents. If the prior depends on the class, they share the noise from which latents are
    drawn.

    Args:
      model: the trained model.
      variables: the parameters and other collections of the model.
      data: the data of the evaluation, of which nothing is read.
      key: random key.
      count: how many latents are drawn and decoded in every class.

    Returns:
      "samples" [count, K, *shape], means of the likelihood; "classes" [K], their names; "limits".

    Raises:
      UserError: for a model that reads no label, or whose labels are vectors.
    """
    requirements.at_least(1, class_grid_count=count)
    if not model.reads_label:
        raise UserError(
            "figure 'class_grid' needs a conditional model, and this model reads no class\nuse --figures=samples"
        )
    if model.spec.label_dim:
        raise UserError(
            f"figure 'class_grid' needs classes, and this model reads labels that are {model.spec.labels}\n"
            "use --figures=reconstructions"
        )
    classes = model.spec.classes

    def codes_of(label):
        batch = {"label": jnp.full(count, label), "mask": jnp.ones(count)}
        # The same key for each class: only the label differs.
        return model.apply(variables, batch, method="prior_codes", rngs={"latent": key})[-1][0]

    codes = np.stack([codes_of(label) for label in range(classes)], axis=1)
    samples = queries.decode(model, variables, codes, np.arange(classes))
    names = np.array(model.spec.class_names, dtype=str)
    return {"samples": samples, "classes": names, "limits": style.limits(model.spec, samples)}


@style.styled
def figure(arrays):
    """Draw a row for each latent and a column for each class."""
    columns = arrays["classes"].tolist()
    return style.grid(arrays["samples"], arrays["limits"], column_labels=columns, xlabel="class", ylabel="latent")
