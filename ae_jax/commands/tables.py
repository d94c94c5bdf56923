"""Tables of results, as text or in Markdown: one line per metric, or in the layout of a paper."""

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from ae_jax.commands import reproduce
from ae_jax.experiments import configuration

_KINDS = ("expected", "obtained", "difference")


def table(all_lines: Sequence[reproduce.Line], markdown: bool = False) -> str:
    """Return lines as a table, in text or in Markdown."""
    head = ("row", "metric", "expected", "obtained", "difference", "verdict", "minutes", "expected from")
    body = [
        (
            line.row,
            line.metric,
            f"{line.expected:.4g}",
            _obtained(line),
            f"{line.obtained - line.expected:+.2g}",
            line.verdict,
            f"{line.seconds / 60:.1f}",
            line.source,
        )
        for line in all_lines
    ]
    return _drawn(head, body, markdown)


def _obtained(line: reproduce.Line) -> str:
    excess = "" if math.isnan(line.floor) else f" ({line.obtained - line.floor:.4f} above the floor)"
    return f"{line.obtained:.4g}{_spread(line.spread)}{excess}"


def grid(table: Mapping[str, Any], stored: Mapping[str, Any], markdown: bool = False) -> str:
    """Return a table in the layout of its paper.

    Each cell shows the table's first metric, with its other metrics in brackets: the paper's number, the one obtained,
    and the difference of the first metric. "-" stands for a row that was not run. Where nothing is published, only what
    was obtained is shown.

    Args:
      table: dict(metrics=(METRIC, ...), lines={line: {column: row}}).
      stored: {row: entry}.
      markdown: whether to return Markdown rather than text.
    """
    there = reproduce.rows()
    columns = list(next(iter(table["lines"].values())))
    cells = {
        name: [_cells(there[row], table["metrics"], stored) for row in by_column.values()]
        for name, by_column in table["lines"].items()
    }
    shown = {"obtained"}.union(*(cell for line in cells.values() for cell in line))
    kinds = [kind for kind in _KINDS if kind in shown]
    body = [
        (name if kind == kinds[0] else "", kind, *(cell.get(kind, "-") for cell in line))
        for name, line in cells.items()
        for kind in kinds
    ]
    return _drawn(("", "", *columns), body, markdown)


def _cells(row: reproduce.Row, metrics: Sequence[str], stored: Mapping[str, Any]) -> dict[str, str]:
    """Return {"expected"?, "obtained"?, "difference"?: text} for one row."""
    section = configuration.load(row.config).expected
    found: dict[str, str] = {}
    expected = [section.get(metric, {}) for metric in metrics]
    published = [of.get("paper", of.get("value")) for of in expected]
    like = ".4g" if None in published else ".2f"
    if None not in published:
        found["expected"] = f"{published[0]:{like}}" + _in_brackets(published[1:])
    if row.name in stored:
        means, spread = zip(*(reproduce.of_seeds(row.name, metric, stored) for metric in metrics))
        found["obtained"] = f"{means[0]:{like}}{_spread(spread[0])}" + _in_brackets(means[1:])
    if found.keys() == {"expected", "obtained"}:
        found["difference"] = f"{means[0] - published[0]:+.2f}"
    return found


def _in_brackets(values):
    return "".join(f" ({value:.4g})" for value in values)


def _spread(value):
    return "" if math.isnan(value) else f" ± {value:.2g}"


def groups(stored: Mapping[str, Any]) -> list[str]:
    """Return one line for each group of rows: its name, its rows, and the minutes that they took."""
    listed = []
    for name, members in reproduce.groups().items():
        seconds = [statistics.fmean(stored[row]["seconds"].values()) for row in members if row in stored]
        cost = f"{len(seconds)} of {len(members)} were run, in {sum(seconds) / 60:.0f} minutes"
        listed.append(f"  {name}: {', '.join(members)} ({cost if seconds else 'not run'})")
    return listed


def _drawn(head: Sequence[str], body: Sequence[Sequence[str]], markdown: bool) -> str:
    if markdown:
        rule = tuple("---" for _ in head)
        return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, rule, *body))
    widths = [max(map(len, column)) for column in zip(head, *body)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(cells, widths)) for cells in (head, *body))
