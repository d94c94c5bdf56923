"""Read the user's own latents, such as the task encode writes.

They are in a .csv with the columns file,label,z0,...,z0_scale,... (label and scales may be absent), in an .npz with
`code` and optionally `names` and `label`, or in a .npy.
"""

import csv
import dataclasses
import io
import re
from pathlib import Path

import numpy as np

from ae_jax.commands.apply.results import numbered
from ae_jax.commands.apply.userarrays import check_finite
from ae_jax.commands.apply.userfiles import label_of, load_arrays
from ae_jax.core import cells
from ae_jax.core.errors import UserError
from ae_jax.data.batching import evenly


@dataclasses.dataclass(frozen=True)
class Codes:
    """The latents that were read, in the order of the file.

    Args:
      codes: latents [N, D] float32.
      names: N names.
      label: [N] classes or [N, L] vectors, as in the file.
    """

    codes: np.ndarray
    names: list[str]
    label: np.ndarray | None = None


def read_codes(path: str, dimension: int, limit: int | None = None) -> Codes:
    """Read latents from a file.

    Args:
      path: the file.
      dimension: D, the length of the model's latents.
      limit: how many of the latents are read, evenly over them; all of them by default.

    Raises:
      UserError: there is no such file, it is damaged, or its latents are not the model's.
    """
    file = Path(path).expanduser()
    if not file.is_file() or file.suffix not in (".csv", ".npz", ".npy"):
        raise UserError(f"--input: {path!r} is no file of codes\nexpected a .csv, .npz or .npy, such as encode writes")
    stored = _read_table(file) if file.suffix == ".csv" else load_arrays(file, "code", "names", "label")
    codes = stored["code"]
    if codes.ndim != 2 or not len(codes) or codes.shape[1] != dimension:
        raise UserError(f"{file} holds codes {list(codes.shape)}, and this model's are [N, {dimension}]")
    if not np.issubdtype(codes.dtype, np.number) or np.iscomplexobj(codes):
        raise UserError(f"{file} holds codes of {codes.dtype}\nexpected floats")
    check_finite(file, codes)
    names = [str(name) for name in stored.get("names", numbered(file.stem, len(codes)))]
    if len(names) != len(codes):
        raise UserError(f"{file} holds {len(codes)} codes and {len(names)} names")
    label = label_of(file, stored, len(codes))
    chosen = evenly(min(limit or len(codes), len(codes)), len(codes))
    label = None if label is None else label[chosen]
    return Codes(codes[chosen].astype(np.float32), [names[number] for number in chosen], label)


def _read_table(file: Path) -> dict[str, np.ndarray]:
    """Return {"code", "names", "label"?} of a .csv, or raise UserError for another table.

    The columns z0_scale, z1_scale, ... may stand beside the latents. They are not read: decoding needs no scales.
    """
    try:
        # Spreadsheets begin their files with a byte order mark, which utf-8-sig drops.
        header, *rows = csv.reader(io.StringIO(file.read_text("utf-8-sig", "surrogateescape"), newline=""), strict=True)
        columns = [place for place, name in enumerate(header) if re.fullmatch(r"z\d+", name)]
        latents = [f"z{d}" for d in range(len(columns))]
        scales = [f"{name}_scale" for name in latents]
        known = [["file", *label, *latents, *also] for label in ([], ["label"]) for also in ([], scales)]
        if header not in known:
            raise ValueError("its first line is not file,z0,z1,... or file,label,z0,...,z0_scale,...")
        for number, row in enumerate(rows, 2):
            if len(row) != len(header):
                raise ValueError(f"row {number} has {len(row)} fields, not {len(header)}")
        codes = np.array([[row[place] for place in columns] for row in rows], np.float32)
    except (csv.Error, ValueError) as error:
        raise UserError(f"{file} cannot be read as a table of codes: {error}") from None
    names = np.array([cells.unquote(row[0]) for row in rows])
    found = {"code": codes.reshape(len(rows), len(columns)), "names": names}
    return {**found, "label": np.array([row[1] for row in rows])} if header[1:2] == ["label"] else found
