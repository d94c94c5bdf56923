"""Decompress codes that the task compress wrote, and decode them."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from ae_jax.commands.apply import results, shared, userfiles
from ae_jax.core.errors import UserError
from ae_jax.experiments import tokens
from ae_jax.experiments.analysis import Trained


def run(trained: Trained, source: str, key: Any, *, sampler: str = "", batch_size: int = 500) -> shared.Result:
    """Read a file of the task compress, and decode its codes into means of the likelihood.

    Args:
      trained: the opened run, the one that compressed.
      source: the file.
      key: the random key of all that is drawn.
      sampler: the directory of the prior by which the file was compressed.
      batch_size: examples per device call of the decoder.

    Returns:
      An image for each example, or else one STEM.npy; and STEM_codes.npz with "indices" and "names".
    """
    path = Path(source).expanduser()
    if not source or path.suffix != ".npz" or not path.is_file():
        raise UserError(f"task 'decompress' has --input={source!r}\nuse the .npz that the task compress wrote")
    prior = tokens.prior_of(trained, sampler)
    stored = userfiles.load_arrays(path, "payload", "header", "names")
    header = _header(path, stored)
    _check(path, header, {"model": trained.digest, "prior": prior.digest, **tokens.circumstances()})
    indices = tokens.decompress(prior, stored["payload"], header["examples"], header["batch_size"])
    means = tokens.decode(trained, indices, key=key, batch_size=batch_size)
    names = [str(name) for name in stored["names"]]
    files = results.rendered(means, names, path.stem, results.form_of(trained.spec))
    files[f"{path.stem}_codes.npz"] = {"indices": indices, "names": names}
    return shared.Result(files, [path])


def _header(path: Path, stored: dict[str, np.ndarray]) -> dict[str, Any]:
    """Return the header of a file. Raise UserError for another file."""
    try:
        header: dict[str, Any] = json.loads(str(stored["header"]))
        assert len(stored["names"]) == header["examples"] > 0 and header["batch_size"] > 0
    except (KeyError, ValueError, TypeError, AssertionError):
        raise UserError(f"{path} has no header that can be read\nuse the .npz that the task compress wrote") from None
    return header


def _check(path: Path, header: dict[str, Any], here: dict[str, str]) -> None:
    """Raise UserError where another model, device or version compressed a file."""
    for name, value in here.items():
        if header.get(name) != value:
            raise UserError(
                f"{path} was compressed with {name} {header.get(name)}, and here it is {value}\n"
                "use the same runs, device and versions: otherwise probabilities differ in their last bits"
            )
