"""Principal components; codes of any length laid out in a plane, by these or by UMAP where it is installed."""

import importlib.util

import numpy as np

from ae_jax.core.errors import UserError

_NEIGHBOURS = 15  # UMAP's own default; of fewer codes it makes nothing


def plane(codes: np.ndarray, name: str = "") -> tuple[np.ndarray, list[str]]:
    """(points [N, 2] of codes [N, D], what the two axes are).

    name: "pca", "umap", or "" for UMAP where it is installed and there are codes enough, else PCA.
    Raises UserError for another name, and for "umap" where it is not installed or the codes are too few.
    """
    if name not in ("", "pca", "umap"):
        raise UserError(f"projection is {name!r}\nexpected 'pca' or 'umap', or nothing for the best there is")
    installed, enough = importlib.util.find_spec("umap") is not None, len(codes) > _NEIGHBOURS
    if name == "umap" and not installed:
        raise UserError("UMAP is not installed\ntry: pip install -e .[umap], or projection 'pca'")
    if name == "umap" and not enough:
        raise UserError(f"UMAP needs more than {_NEIGHBOURS} codes, and got {len(codes)}\ntry projection 'pca'")
    if name == "pca" or not (installed and enough):
        codes = codes.astype(np.float64)
        mean, components = principal_components(codes, 2)
        points = (codes - mean) @ components.T
        shares = points.var(axis=0) / max(codes.var(axis=0).sum(), np.finfo(np.float64).tiny)
        of = f"of the {codes.shape[1]}-D code"
        return points, [f"PC {i + 1} {of} ({share:.1%} of variance)" for i, share in enumerate(shares)]
    return _umap(codes), ["UMAP 1", "UMAP 2"]


def principal_components(rows: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """(mean [P], the `count` directions of greatest variance [count, P]) of rows [N, P], in their precision, exactly:
    by the covariance's eigenvectors.

    The greatest loading of each is positive, so that a picture does not flip from run to run.
    """
    mean = rows.mean(axis=0, dtype=np.float64)
    covariance = (rows.T @ rows).astype(np.float64) / len(rows) - np.outer(mean, mean)
    components = np.linalg.eigh(covariance)[1].T[::-1][:count]
    greatest = np.take_along_axis(components, np.abs(components).argmax(axis=1, keepdims=True), axis=1)
    return mean.astype(rows.dtype), (components * np.sign(greatest)).astype(rows.dtype)


def _umap(codes):
    """McInnes et al. 2018, "UMAP", arXiv:1802.03426; with a seed and one thread, the same points each time."""
    import umap

    return umap.UMAP(n_neighbors=_NEIGHBOURS, random_state=0, n_jobs=1).fit_transform(codes)
