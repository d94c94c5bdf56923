"""Codes of any length laid out in a plane: by their principal components, or by UMAP where it is installed."""

import importlib.util

import numpy as np

from ae_jax.errors import UserError

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
        scores, shares = principal_components(codes)
        of = f"of the {codes.shape[1]}-D code"
        return scores, [f"PC {i + 1} {of} ({share:.1%} of variance)" for i, share in enumerate(shares)]
    return _umap(codes), ["UMAP 1", "UMAP 2"]


def principal_components(codes: np.ndarray, n: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Scores [N, n] of codes [N, D] on their first n principal components, and each one's share of the variance [n].

    The greatest loading of each component is positive, so that the picture does not flip from run to run.
    """
    centred = codes - codes.mean(axis=0, dtype=np.float64)
    components = np.linalg.svd(np.cov(centred, rowvar=False, bias=True))[2][:n]
    greatest = np.abs(components).argmax(axis=1)
    components *= np.sign(components[np.arange(n), greatest])[:, None]
    scores = centred @ components.T
    total = centred.var(axis=0).sum()
    return scores, scores.var(axis=0) / max(total, np.finfo(np.float64).tiny)


def _umap(codes):
    """McInnes et al. 2018, "UMAP", arXiv:1802.03426; with a seed and one thread, the same points each time."""
    import umap

    return umap.UMAP(n_neighbors=_NEIGHBOURS, random_state=0, n_jobs=1).fit_transform(codes)
