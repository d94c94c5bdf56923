"""Principal components with as many dimensions as the code: the linear embedding to compare with."""

import numpy as np

from ae_jax.evaluation.gather import code_and_label, compiled, gather, mean_with_error
from ae_jax.evaluation.metrics import mse
from ae_jax.evaluation.projections import principal_components

BETTER = {"pca_mse_per_pixel": "min", "mse_over_pca": "min"}


def evaluate(model, variables, data, key) -> dict[str, float]:
    """Test error per pixel of PCA fitted on the training split, with the size of the model's code; and the model's own
    error as a multiple of it.
    """
    size = code_size(model, variables, data, key)
    mean, components = principal_components(pixels(data.train), size)
    centred = pixels(data.test) - mean
    rest = centred - centred @ components.T @ components
    errors = np.square(rest).mean(axis=1)
    own = mse.evaluate(model, variables, data, key)["mse_per_pixel"]
    pca = mean_with_error("pca_mse_per_pixel", errors)
    return {"mse_over_pca": own / pca["pca_mse_per_pixel"], **pca}


def code_size(model, variables, data, key) -> int:
    """How long the model's code is, which `latent_dim` does not say where it is the encoder's features themselves."""
    return gather(compiled(code_and_label, model), variables, data.test, key, count=1)["code"].shape[-1]


def pixels(batches) -> np.ndarray:
    """All unmasked targets as rows, [N, pixels] float32."""
    rows = [np.asarray(batch["x"])[np.asarray(batch["mask"]) > 0] for batch in batches]
    return np.concatenate(rows).reshape(sum(map(len, rows)), -1)
