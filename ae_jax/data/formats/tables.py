"""Tables of numbers in .csv, .tsv and .parquet files.

A row is an example, and a column is a feature or the label.
"""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ae_jax.core import errors
from ae_jax.core.errors import UserError
from ae_jax.data.formats import LABEL_NAMES, NO_LABEL, Found, Reading, say_once
from ae_jax.data.labels import MOST_CLASSES

SUFFIXES = (".csv", ".tsv", ".parquet")


def read(file: Path, reading: Reading) -> Found:
    """Read a table: its features as float64 [N, F], and its labels.

    Args:
      file: the file.
      reading: of which label (the name of a column) and columns (those that are features) are read.

    Raises:
      UserError: the file is damaged, or holds text or gaps where numbers are wanted.
    """
    columns, has_names = read_columns(file)
    columns = _without_index(file, columns)
    label = _label_column(file, columns, reading)
    chosen = _chosen(file, columns, label, reading.columns)
    x = np.stack([_numbers(file, name, columns[name]) for name in chosen], axis=1)
    arrays = {"x": x} if not label else {"x": x, "label": _as_labels(columns[label])}
    return Found({"train": arrays}, tuple(chosen) if has_names else ())


def read_columns(file: Path) -> tuple[dict[str, np.ndarray], bool]:
    """Return ({name: column [N] of float64 or text}, whether the file names them).

    Columns without names are numbered from 0.
    """
    if file.suffix.lower() == ".parquet":
        return _read_parquet(file), True
    try:
        text = file.read_text("utf-8-sig")
        delimiter = "\t" if file.suffix.lower() == ".tsv" else _delimiter(text)
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        first, second = _next(rows), _next(rows)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{file} cannot be read as a table: {errors.first_line(error)}") from None
    if not first:
        raise UserError(f"{file} is empty\nexpected a table, an example a line")
    has_names = _is_header(first, second)
    names = [cell.strip() for cell in first] if has_names else [str(place) for place in range(len(first))]
    if len(set(names)) < len(names):
        twice = next(name for place, name in enumerate(names) if name in names[:place])
        raise UserError(f"{file} has two columns called {twice!r}\nrename one of them")
    try:
        table = np.loadtxt(io.StringIO(text), delimiter=delimiter, skiprows=int(has_names), ndmin=2, quotechar='"')
        if table.shape[1] == len(names) and len(table):
            return dict(zip(names, table.T)), has_names
    except ValueError:
        pass  # Some column holds text, or a cell is empty.
    return _read_slowly(file, text, delimiter, names, has_names), has_names


def _delimiter(text: str) -> str:
    """Return the delimiter of a .csv, which stands most often in its first line."""
    line = text.partition("\n")[0]
    return max(",;\t", key=line.count)


def _next(rows: Any) -> list[str]:
    """Return the next row that is not empty; [] at the end."""
    return next((row for row in rows if row), [])


def _is_header(first: Sequence[str], second: Sequence[str]) -> bool:
    """Return whether the first row of a table names its columns."""
    if len(first) == len(second) and any(not _is_number(a) and _is_number(b) for a, b in zip(first, second)):
        return True
    if not any(map(_is_number, first)):
        return any(cell.strip() for cell in first)
    # Pandas numbers the columns of an array.
    numbers = [cell.strip() for cell in first if _is_number(cell)]
    return len(numbers) > 1 and numbers in ([str(n + start) for n in range(len(numbers))] for start in (0, 1))


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _read_slowly(file: Path, text: str, delimiter: str, names: list[str], has_names: bool) -> dict[str, np.ndarray]:
    """Return the columns of a table of which some hold text or gaps.

    An empty cell is NaN in a column of numbers.
    """
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows = []
    try:
        for row in reader:
            if row and len(row) != len(names):
                raise UserError(f"{file}: line {reader.line_num} has {len(row)} cells, and the first has {len(names)}")
            if row:
                rows.append(row)
    except csv.Error as error:
        raise UserError(f"{file} cannot be read as a table: line {reader.line_num}: {error}") from None
    rows = rows[has_names:]
    if not rows:
        raise UserError(f"{file} has no rows\nexpected an example a line")
    return {name: _column([row[place].strip() for row in rows]) for place, name in enumerate(names)}


def _column(cells: list[str]) -> np.ndarray:
    """Return a column as float64, or as text where a cell is no number."""
    try:
        return np.array([cell or "nan" for cell in cells]).astype(np.float64)
    except ValueError:
        return np.array(cells)


def _read_parquet(file: Path) -> dict[str, np.ndarray]:
    """Return the columns of a .parquet."""
    try:
        from pyarrow import lib, parquet
    except ImportError:
        raise UserError(f"{file} needs pyarrow\npip install 'ae_jax[tables]', or store the table as .csv") from None
    try:
        table = parquet.read_table(file)
    except (OSError, lib.ArrowException) as error:
        raise UserError(f"{file} cannot be read as a table: {errors.first_line(error)}") from None
    if not table.num_rows:
        raise UserError(f"{file} has no rows\nexpected an example a row")
    found = {}
    for name, column in zip(table.column_names, table.columns):
        values = column.to_numpy()
        if values.dtype.kind not in "biuf":
            values = np.array(["" if value is None else str(value) for value in values.tolist()])
        found[name] = values
    return found


def _without_index(file: Path, columns: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Leave out a column without a name that numbers the rows, as pandas writes it, and say so."""
    for name, values in columns.items():
        is_nameless = name == "" or name.startswith(("Unnamed:", "__index_level_"))
        if is_nameless and values.dtype.kind in "iuf" and (np.diff(values) == 1).all():
            say_once(f"{file}: the column {name!r} numbers the rows and is left out")
            return {key: column for key, column in columns.items() if key != name}
    return columns


def _label_column(file: Path, columns: dict[str, np.ndarray], reading: Reading) -> str:
    """Return the name of the column of labels; "" where there is none."""
    if reading.label == NO_LABEL:
        return ""
    if reading.label:
        if reading.label not in columns:
            raise errors.unknown("data.label", reading.label, columns)
        return reading.label
    free = [name for name in columns if name not in reading.columns]
    usual = next((name for wanted in LABEL_NAMES for name in free if name.lower() == wanted), "")
    texts = [name for name in free if columns[name].dtype.kind == "U"]
    found = usual
    if not usual and len(texts) == 1:
        # In a table that a trained model reads, every text may be a label: that table may have a single row.
        classes, count = len(np.unique(columns[texts[0]])), len(columns[texts[0]])
        found = texts[0] if reading.columns or (classes <= MOST_CLASSES and classes < count) else ""
    if found and not reading.columns:
        say_once(f"{file}: the column {found!r} is read as labels; --config.data.label=none has no labels")
    return found


def _chosen(file: Path, columns: dict[str, np.ndarray], label: str, wanted: Sequence[str]) -> list[str]:
    """Return the names of the columns that are features. Raise UserError where there are none."""
    for name in wanted:
        if name not in columns:
            raise errors.unknown("column of data.columns", name, columns)
    chosen = list(wanted) or [name for name in columns if name != label]
    if not chosen:
        raise UserError(f"{file} has no column of numbers\nexpected one a feature")
    return chosen


def _numbers(file: Path, name: str, column: np.ndarray) -> np.ndarray:
    """Return a column as float64. Raise UserError where it has text or gaps."""
    if column.dtype.kind == "U":
        row = next(place for place, cell in enumerate(column) if not _is_number(cell))
        raise UserError(
            f"{file}: the column {name!r} holds text, {str(column[row])!r} in row {row + 1}\n"
            f"name the features: --config.data.columns=A,B,..., or --config.data.label={name} where it is the label"
        )
    column = column.astype(np.float64)
    missing = np.flatnonzero(np.isnan(column))
    if missing.size:
        raise UserError(
            f"{file}: the column {name!r} has no number in {missing.size} of {len(column)} rows, first in row "
            f"{missing[0] + 1}\nfill the gaps, leave out these rows, or name other features: --config.data.columns=A,B"
        )
    return column


def _as_labels(column: np.ndarray) -> np.ndarray:
    """Return a column of labels: whole numbers are classes."""
    if column.dtype.kind == "f" and np.isfinite(column).all() and (column == np.rint(column)).all():
        return column.astype(np.int64)
    return column
