"""What rows obtained, as text or in Markdown: a line for each metric, or as the row's paper shows it."""

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from ae_jax import configuration, reproduce

_KINDS = ("expected", "obtained", "difference")


def table(all_lines: Sequence[reproduce.Line], markdown: bool = False) -> str:
    """The lines as a table, in text or in Markdown."""
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
    spread = "" if math.isnan(line.spread) else f" ± {line.spread:.2g}"
    excess = "" if math.isnan(line.floor) else f" ({line.obtained - line.floor:.4f} above the floor)"
    return f"{line.obtained:.4g}{spread}{excess}"


def grid(table: Mapping[str, Any], stored: Mapping[str, Any], markdown: bool = False) -> str:
    """The rows of a table as its paper shows them: what it has, what was obtained, and the difference, of the first of
    its metrics, and in brackets the others; "-" where a row was not run.
    """
    there = reproduce.rows()
    columns = list(next(iter(table["lines"].values())))
    body = []
    for name, by_column in table["lines"].items():
        cells = [_cells(there[by_column[column]], table["metrics"], stored) for column in columns]
        body += [(name if not n else "", kind, *(cell[n] for cell in cells)) for n, kind in enumerate(_KINDS)]
    return _drawn(("", "", *columns), body, markdown)


def _cells(row: reproduce.Row, metrics: Sequence[str], stored: Mapping[str, Any]) -> tuple[str, str, str]:
    """What was expected, obtained, and the difference."""
    section = configuration.load(row.config).expected
    expected = [section[metric].get("paper", section[metric]["value"]) for metric in metrics]
    shown = lambda values: f"{values[0]:.2f}" + "".join(f" ({value:.4g})" for value in values[1:])
    if row.name not in stored:
        return shown(expected), "-", "-"
    by_metric = {line.metric: line.obtained for line in reproduce.lines(row, stored)}
    found = [by_metric[metric] for metric in metrics]
    return shown(expected), shown(found), f"{found[0] - expected[0]:+.2f}"


def groups(stored: Mapping[str, Any]) -> list[str]:
    """A line for each group of rows: its name, which rows it has, and what they cost where they were run."""
    told = []
    for name, members in reproduce.groups().items():
        seconds = [statistics.fmean(stored[row]["seconds"].values()) for row in members if row in stored]
        cost = f"{len(seconds)} of {len(members)} were run, in {sum(seconds) / 60:.0f} minutes"
        told.append(f"  {name}: {', '.join(members)} ({cost if seconds else 'not run'})")
    return told


def _drawn(head: Sequence[str], body: Sequence[Sequence[str]], markdown: bool) -> str:
    if markdown:
        rule = tuple("---" for _ in head)
        return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, rule, *body))
    widths = [max(map(len, column)) for column in zip(head, *body)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(cells, widths)) for cells in (head, *body))
