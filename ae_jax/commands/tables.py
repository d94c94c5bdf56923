"""What rows obtained, as text or in Markdown: a line for each metric, or as the row's paper shows it."""

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from ae_jax.commands import reproduce
from ae_jax.experiments import configuration

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
    excess = "" if math.isnan(line.floor) else f" ({line.obtained - line.floor:.4f} above the floor)"
    return f"{line.obtained:.4g}{_spread(line.spread)}{excess}"


def grid(table: Mapping[str, Any], stored: Mapping[str, Any], markdown: bool = False) -> str:
    """The rows of a table as its paper shows them: of the first of its metrics, and in brackets of the others, what the
    paper has, what was obtained, and the first's difference; "-" where a row was not run. Where nobody has published
    anything, only what was obtained.
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
    """{kind: text}, of the kinds that there are."""
    section, found = configuration.load(row.config).expected, {}
    expected = [section.get(metric, {}) for metric in metrics]
    published = [of.get("paper", of.get("value")) for of in expected]
    like = ".4g" if None in published else ".2f"
    shown = lambda first, others: first + "".join(f" ({value:.4g})" for value in others)
    if None not in published:
        found["expected"] = shown(f"{published[0]:{like}}", published[1:])
    if row.name in stored:
        means, spread = zip(*(reproduce.of_seeds(row.name, metric, stored) for metric in metrics))
        found["obtained"] = shown(f"{means[0]:{like}}{_spread(spread[0])}", means[1:])
    if found.keys() == {"expected", "obtained"}:
        found["difference"] = f"{means[0] - published[0]:+.2f}"
    return found


def _spread(value):
    return "" if math.isnan(value) else f" ± {value:.2g}"


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
