"""Tables of results, in text or Markdown: a line per metric, or the layout of a paper."""

import math
import re
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from ae_jax.commands import reproduce, verdicts
from ae_jax.experiments import configuration

_KINDS = ("expected", "obtained", "difference")


def table(all_lines: Sequence[verdicts.Line], markdown: bool = False) -> str:
    """Return lines as a table, in text or in Markdown."""
    head = (
        *("row", "metric", "expected", "before", "obtained", "seeds", "worse by at most", "verdict", "minutes"),
        "expected from",
    )
    body = [
        (
            line.row,
            line.metric,
            _figure(line.expected),
            _figure(line.regression),
            _obtained(line),
            str(line.seeds),
            _figure(line.allowance, ".2g"),
            _verdict(line),
            f"{line.seconds / 60:.1f}",
            line.source,
        )
        for line in all_lines
    ]
    return _drawn(head, body, markdown)


def _figure(value: float, digits: str = ".4g") -> str:
    """Return a number as text, or "-" where there is none."""
    return "-" if math.isnan(value) else f"{value:{digits}}"


def _verdict(line: verdicts.Line) -> str:
    """Return the verdict on the expected value, and the one on our own earlier value."""
    if math.isnan(line.expected):
        return line.trend
    texts = dict.fromkeys(text for text in (line.verdict, line.trend) if text)
    return "; ".join(texts)


def _obtained(line: verdicts.Line) -> str:
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
    like = ".4g" if published[0] is None else ".2f"
    if published[0] is not None:
        found["expected"] = f"{published[0]:{like}}" + _in_brackets(
            value for value in published[1:] if value is not None
        )
    if row.name in stored:
        means, spread = zip(*(verdicts.of_seeds(row.name, metric, stored) for metric in metrics))
        found["obtained"] = f"{means[0]:{like}}{_spread(spread[0])}" + _in_brackets(means[1:])
    if found.keys() == {"expected", "obtained"}:
        found["difference"] = f"{means[0] - published[0]:+.2f}"
    return found


def _in_brackets(values):
    return "".join(f" ({value:.4g})" for value in values)


def _spread(value):
    return "" if math.isnan(value) else f" ± {value:.2g}"


def fill(page: str, stored: Mapping[str, Any]) -> str:
    """Render the tables of a Markdown page anew.

    A table stands between <!-- NAME --> and <!-- /NAME -->. NAME is that of a paper's table, or "results" for the rows
    that were run. <!-- results: ROW ROW --> shows these rows only. All else stays as it is.
    """
    layouts, rows = reproduce.tables(), reproduce.rows()

    def rendered(block: re.Match[str]) -> str:
        start, name, chosen, end = (block["start"], block["name"], block["rows"], block["end"])
        if name == "results":
            names = chosen.split() if chosen else rows
            shown = [line for row in names if row in stored for line in verdicts.lines(rows[row], stored)]
            return f"{start}{table(shown, markdown=True)}\n{end}"
        return f"{start}{grid(layouts[name], stored, markdown=True)}\n{end}" if name in layouts else block[0]

    pattern = r"(?P<start><!-- (?P<name>\w+)(?:: (?P<rows>[\w ]+))? -->\n).*?(?P<end><!-- /(?P=name) -->)"
    return re.sub(pattern, rendered, page, flags=re.DOTALL)


def groups(stored: Mapping[str, Any]) -> list[str]:
    """Return one line for each group of rows: its name, its rows, and their minutes."""
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
