"""The error of autoencoders and of PCA, against the number of latent dimensions.

PCA has as many components as the autoencoder has latent dimensions.
"""

import numpy as np

from ae_jax.evaluation.metrics import mse, pca_mse
from ae_jax.plots import style


def arrays(model, variables, data, key, *, runs: tuple = ()) -> dict[str, np.ndarray]:
    """Measure the squared error of each run and of PCA with as many components.

    Args:
      model: the trained model.
      variables: the parameters and other collections of the model.
      data: the data of the evaluation.
      key: random key.
      runs: directories of other runs to compare with.

    Returns:
      "size" [R], the numbers of latent dimensions in increasing order; "mse_per_pixel" and "pca_mse_per_pixel" [R].
    """
    rows = []
    others = [(run.model, run.variables, run.data) for run in map(data.open_run, runs)]
    for other in [(model, variables, data), *others]:
        size = pca_mse.code_size(*other, key)
        scores = mse.evaluate(*other, key) | pca_mse.evaluate(*other, key)
        rows.append((size, scores["mse_per_pixel"], scores["pca_mse_per_pixel"]))
    sizes, ours, pca = map(np.array, zip(*sorted(rows), strict=True))
    return {"size": sizes, "mse_per_pixel": ours, "pca_mse_per_pixel": pca}


@style.styled
def figure(arrays):
    """Draw two lines on logarithmic axes."""
    drawing = style.new(4, 3)
    axes = drawing.add_subplot(
        xlabel="latent dimensions", ylabel="test squared error per pixel", xscale="log", yscale="log"
    )
    lines = (("pca_mse_per_pixel", "PCA", "s--"), ("mse_per_pixel", "autoencoder", "o-"))
    for (name, label, mark), colour in zip(lines, style.PALETTE, strict=False):
        axes.plot(arrays["size"], arrays[name], mark, color=colour, label=label, markersize=4)
    axes.set_xticks(arrays["size"], labels=[str(size) for size in arrays["size"]])
    axes.minorticks_off()
    axes.legend()
    return drawing
