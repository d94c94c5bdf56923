"""The linear baseline: PCA with as many components as the model has latent dimensions."""

import numpy as np

from ae_jax.evaluation.gather import code_and_label, compiled, gather, mean_with_error
from ae_jax.evaluation.metrics import mse
from ae_jax.evaluation.projections import principal_components, residuals
from ae_jax.evaluation.reconstructed import originals

BETTER = {"pca_mse_per_pixel": "min", "mse_over_pca": "min"}


def evaluate(model, variables, data, key) -> dict[str, float]:
    """Compare the model's squared error per pixel with that of PCA.

    PCA is fitted to the training split, with as many components as latent dimensions.

    Returns:
      "mse_over_pca", the model's error divided by that of PCA, and "pca_mse_per_pixel" of PCA, in the squared unit of
      the data.
    """
    size = code_size(model, variables, data, key)
    mean, components = principal_components(pixels(data.train), size)
    errors = residuals(pixels(data.test), mean, components)
    own = mse.evaluate(model, variables, data, key)["mse_per_pixel"]
    pca = mean_with_error("pca_mse_per_pixel", errors)
    return {"mse_over_pca": own / pca["pca_mse_per_pixel"], **pca}


def code_size(model, variables, data, key) -> int:
    """Return the number of latent dimensions.

    It is read from an encoded example, because `latent_dim` is 0 where the encoder's features are the latent.
    """
    return gather(compiled(code_and_label, model), variables, data.test, key, count=1)["code"].shape[-1]


def pixels(batches) -> np.ndarray:
    """Return all examples that are not masked as rows [N, P], float32."""
    rows = [np.asarray(originals(batch))[np.asarray(batch["mask"]) > 0] for batch in batches]
    return np.concatenate(rows).reshape(sum(map(len, rows)), -1)
