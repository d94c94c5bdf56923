"""Test error of trained codes and of as many principal components, against the size of the code."""

import numpy as np

from ae_jax.evaluation.metrics import mse, pca_mse
from ae_jax.plots import style


def arrays(model, variables, data, key, *, runs: tuple = ()) -> dict[str, np.ndarray]:
    """Of this run and the other `runs` (directories): "size" of the code [R], "mse_per_pixel" and "pca_mse_per_pixel"
    [R], in the order of their sizes.
    """
    rows = []
    others = [(run.model, run.variables, run.data) for run in map(data.open_run, runs)]
    for other in [(model, variables, data), *others]:
        size = pca_mse.code_size(*other, key)
        scores = mse.evaluate(*other, key) | pca_mse.evaluate(*other, key)
        rows.append((size, scores["mse_per_pixel"], scores["pca_mse_per_pixel"]))
    size, ours, pca = map(np.array, zip(*sorted(rows), strict=True))
    return {"size": size, "mse_per_pixel": ours, "pca_mse_per_pixel": pca}


@style.styled
def figure(arrays):
    """Two lines, both axes logarithmic."""
    drawing = style.new(4, 3)
    axes = drawing.add_subplot(
        xlabel="size of the code", ylabel="test squared error per pixel", xscale="log", yscale="log"
    )
    lines = (("pca_mse_per_pixel", "PCA", "s--"), ("mse_per_pixel", "autoencoder", "o-"))
    for (name, label, mark), colour in zip(lines, style.PALETTE, strict=False):
        axes.plot(arrays["size"], arrays[name], mark, color=colour, label=label, markersize=4)
    axes.set_xticks(arrays["size"], labels=[str(size) for size in arrays["size"]])
    axes.minorticks_off()
    axes.legend()
    return drawing
