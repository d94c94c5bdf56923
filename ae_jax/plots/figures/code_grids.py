"""Codes as images: examples, the indices of their codes, and reconstructions."""

import numpy as np

from ae_jax.core.errors import UserError
from ae_jax.evaluation import requirements
from ae_jax.evaluation.metrics import codebook
from ae_jax.plots import queries, style
from ae_jax.plots.figures.codebook_usage import check_is_discrete


def arrays(model, variables, data, key, *, count: int = 10) -> dict[str, np.ndarray]:
    """Encode and reconstruct examples.

    Args:
      model: the trained model.
      variables: the parameters and other collections of the model.
      data: the data of the evaluation.
      key: random key.
      count: how many examples are shown, from the first on.

    Returns:
      "original" and "reconstruction" [N, *shape]; "indices" [N, ...]; "size", the number of entries; "limits".

    Raises:
      UserError: for a latent that is not discrete, or examples that are no images.
    """
    requirements.at_least(1, code_grids_count=count)
    check_is_discrete("code_grids", model)
    if len(model.spec.shape) != 3:
        raise UserError("figure 'code_grids' needs images\nuse --figures=codebook_usage")

    def per_example(variables, batch, key):
        mean = model.apply(variables, batch, rngs={"latent": key}).likelihood.mean[0]
        return {"original": batch["x"], "reconstruction": mean, **codebook.of_batch(model, variables, batch, key)}

    found = queries.gather(per_example, variables, data.test, key, count)
    limits = style.limits(model.spec, found["original"])
    return {**found, "size": np.array(model.code_spec.levels), "limits": limits}


@style.styled
def figure(arrays):
    """Draw a column for each example; the grey of a place is the number of its entry."""
    indices = arrays["indices"]
    if indices.ndim == 4:  # of several levels, the first
        indices = indices[..., 0]
    grids = indices.reshape(len(indices), -1, indices.shape[-1])[..., None] / max(int(arrays["size"]) - 1, 1)
    low, high = np.asarray(arrays["limits"]).reshape(-1)[:2]
    grids = _enlarged(low + (high - low) * grids, arrays["original"].shape[1:3])
    rows = [arrays["original"], np.broadcast_to(grids, arrays["original"].shape), arrays["reconstruction"]]
    return style.grid(rows, arrays["limits"], row_labels=["original", "codes", "reconstruction"])


def _enlarged(grids, size):
    """Return grids [N, h, w, 1] at the size (H, W) of the examples, by nearest neighbours."""
    rows, columns = (np.arange(wide) * narrow // wide for wide, narrow in zip(size, grids.shape[1:3], strict=True))
    return grids[:, rows][:, :, columns]
