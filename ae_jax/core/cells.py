"""Quote the cells of CSV files that a spreadsheet would execute as formulas."""

_MARK = "'"
_EXECUTED = ("=", "@", "+", "-", "\t", "\r")


def quote(cell: object) -> object:
    """Put an apostrophe in front of a CSV cell that a spreadsheet would execute.

    Numbers, also those written as text, stay as they are.
    """
    if not isinstance(cell, str) or _is_number(cell):
        return cell
    # A text of an apostrophe and more is quoted too, so that `unquote` returns every text.
    is_executed = cell.startswith(_EXECUTED) or (cell[:1] == _MARK and _may_be_quoted(cell[1:]))
    return _MARK + cell if is_executed else cell


def unquote(cell: str) -> str:
    """Return the text of a cell that `quote` wrote."""
    return cell[1:] if cell[:1] == _MARK and _may_be_quoted(cell[1:]) else cell


def _may_be_quoted(text: str) -> bool:
    return text.lstrip(_MARK).startswith(_EXECUTED) and not _is_number(text)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
