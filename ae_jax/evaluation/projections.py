"""Projections of latents onto two dimensions, by principal component analysis (PCA) or UMAP."""

import importlib.util

import numpy as np

from ae_jax.core import errors
from ae_jax.core.errors import UserError

# UMAP's default number of neighbours. It needs more latents than that.
_NEIGHBOURS = 15


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
    codes = codes.astype(np.float64)
    mean, components = principal_components(codes, 2)
    points = (codes - mean) @ components.T
    # The smallest positive number avoids 0 / 0 where all latents are equal.
    shares = points.var(axis=0) / max(codes.var(axis=0).sum(), np.finfo(np.float64).tiny)
    dims = codes.shape[1]
    labels = [f"PC {i} of the {dims}-D latent ({share:.1%} of variance)" for i, share in enumerate(shares, 1)]
    return points, labels


def principal_components(rows: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Compute principal components exactly, by the eigenvectors of the covariance.

    The greatest loading of each component is positive, so that a figure is not mirrored from run to run.

    Args:
      rows: [N, P].
      count: how many components are wanted.

    Returns:
      The mean [P], and the directions of greatest variance [count, P] in decreasing order, in the precision of `rows`.
    """
    mean = rows.mean(axis=0, dtype=np.float64)
    # From the second moment, because centring would copy all rows, which may be a whole training set of images.
    covariance = (rows.T @ rows).astype(np.float64) / len(rows) - np.outer(mean, mean)
    # `eigh` sorts by increasing eigenvalue.
    components = np.linalg.eigh(covariance)[1].T[::-1][:count]
    greatest = np.take_along_axis(components, np.abs(components).argmax(axis=1, keepdims=True), axis=1)
    return mean.astype(rows.dtype), (components * np.sign(greatest)).astype(rows.dtype)


def _umap(codes: np.ndarray) -> np.ndarray:
    """Project latents [N, D] to [N, 2] by UMAP (McInnes et al. 2018, arXiv:1802.03426)."""
    import umap

    # A seed and a single thread make the points the same each time.
    return umap.UMAP(n_neighbors=_NEIGHBOURS, random_state=0, n_jobs=1).fit_transform(codes)
