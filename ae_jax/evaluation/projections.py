"""Projections of latents onto two dimensions, by principal component analysis (PCA) or UMAP."""

import importlib.util
from collections.abc import Iterator

import numpy as np

from ae_jax.core import errors
from ae_jax.core.errors import UserError

# UMAP's default number of neighbours. It needs more latents than that.
_NEIGHBOURS = 15
# How many rows are converted to float64 at a time.
_CHUNK = 8192


def plane(codes: np.ndarray, name: str = "") -> tuple[np.ndarray, list[str]]:
    """Project latents onto two dimensions.

    Args:
      codes: latents [N, D].
      name: "pca" or "umap"; "" for UMAP if it is installed and there are enough latents, else PCA.

    Returns:
      Points [N, 2], and the labels of the two axes.

    Raises:
      UserError: for another name, or for "umap" if it is not installed or there are too few latents.
    """
    if name not in ("", "pca", "umap"):
        raise errors.unknown("projection", name, ("pca", "umap"))
    installed = importlib.util.find_spec("umap") is not None
    enough = len(codes) > _NEIGHBOURS
    if name == "umap" and not installed:
        raise UserError("UMAP is not installed\nuse pip install -e .[umap], or projection 'pca'")
    if name == "umap" and not enough:
        raise UserError(f"UMAP needs more than {_NEIGHBOURS} latents, and there are {len(codes)}\nuse projection 'pca'")
    if name != "pca" and installed and enough:
        return _umap(codes), ["UMAP 1", "UMAP 2"]
    return _pca(codes)


def _pca(codes: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Project latents [N, D] onto two principal components: points [N, 2], labels of the axes."""
    mean, components = principal_components(codes, 2)
    points = (codes - mean) @ components.T
    # The smallest positive number avoids 0 / 0 where all latents are equal.
    shares = points.var(axis=0) / max(codes.var(axis=0, dtype=np.float64).sum(), np.finfo(np.float64).tiny)
    dims = codes.shape[1]
    labels = [f"PC {i} of the {dims}-D latent ({share:.1%} of variance)" for i, share in enumerate(shares, 1)]
    return points, labels


def principal_components(rows: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Compute principal components exactly, by the eigenvectors of the covariance, in float64.

    The greatest loading of each component is positive, so that a figure is not mirrored from run to run.

    Args:
      rows: [N, P].
      count: how many components are wanted.

    Returns:
      The mean [P], and the directions of greatest variance [count, P] in decreasing order, both float64.
    """
    mean = rows.mean(axis=0, dtype=np.float64)
    covariance = np.zeros((len(mean), len(mean)))
    # The mean is subtracted before anything is squared: a difference of second moments would lose the variance of data
    # that lie far from zero. A chunk at a time, because a float64 copy of a whole training set may not fit in memory.
    for chunk in _chunks(rows):
        centred = chunk - mean
        covariance += centred.T @ centred / len(rows)
    # `eigh` sorts by increasing eigenvalue.
    components = np.linalg.eigh(covariance)[1].T[::-1][:count]
    greatest = np.take_along_axis(components, np.abs(components).argmax(axis=1, keepdims=True), axis=1)
    return mean, components * np.sign(greatest)


def residuals(rows: np.ndarray, mean: np.ndarray, components: np.ndarray) -> np.ndarray:
    """Return the mean squared error of rows that are projected on components.

    Args:
      rows: [N, P].
      mean: the mean of the rows [P].
      components: orthonormal directions [K, P].

    Returns:
      For each row, the mean over its columns [N].
    """
    errors_of = []
    for chunk in _chunks(rows):
        centred = chunk - mean
        errors_of.append(np.square(centred - centred @ components.T @ components).mean(axis=1))
    return np.concatenate(errors_of)


def _chunks(rows: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the rows [N, P] in order, at most `_CHUNK` of them at a time."""
    for start in range(0, len(rows), _CHUNK):
        yield rows[start : start + _CHUNK]


def _umap(codes: np.ndarray) -> np.ndarray:
    """Project latents [N, D] to [N, 2] by UMAP (McInnes et al. 2018, arXiv:1802.03426)."""
    import umap

    # A seed and a single thread make the points the same each time.
    return umap.UMAP(n_neighbors=_NEIGHBOURS, random_state=0, n_jobs=1).fit_transform(codes)
