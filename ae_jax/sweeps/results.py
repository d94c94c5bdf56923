"""The results of a sweep: scores of runs, results.csv, and the table of the best runs."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ae_jax.core import cells
from ae_jax.experiments import rundir
from ae_jax.sweeps.directory import SweepDir

_FIRST_COLUMNS = ("run", "status", "reason", "seconds")


def outcome(lines: Iterable[Mapping[str, Any]], split: str, better: Mapping[str, str]) -> dict[str, dict[str, float]]:
    """Return the scores of a run for its result.json.

    Args:
      lines: the lines of its metrics.jsonl.
      split: the split on which it was evaluated while it trained.
      better: {metric: "max" or "min"}, the better direction of each metric.

    Returns:
      {"final": the scores of the last evaluation, "best": the best value of every metric}. If the run was never
      evaluated, its final scores are the means over its last steps.
    """
    lines = list(lines)
    scored = [line for line in lines if line["split"] == split] or lines[-1:]
    final = {}
    if scored:
        final = {name: value for name, value in scored[-1].items() if name not in ("step", "split")}
    best = {}
    for metric, direction in better.items():
        values = [line[metric] for line in scored if metric in line]
        if values:
            best[metric] = max(values) if direction == "max" else min(values)
    return {"final": final, "best": best}


def rows(sweep: SweepDir) -> list[dict[str, Any]]:
    """Return the rows of results.csv, one for each run, in the order of the plan.

    Args:
      sweep: the sweep.

    Returns:
      {column: value} of each run. The columns are "run", "status", "reason", "seconds", the config keys of the axes,
      "final.METRIC" and "best.METRIC".
    """
    found = []
    for name, axes in sweep.read()[1].items():
        result = sweep.result(name) or {"status": "waiting", "reason": "", "seconds": ""}
        row = {"run": name, **{column: result[column] for column in _FIRST_COLUMNS[1:]}, **axes}
        for kind in ("final", "best"):
            for metric, value in result.get(kind, {}).items():
                row[f"{kind}.{metric}"] = value
        found.append(row)
    return found


def write(sweep: SweepDir) -> None:
    """Bring results.csv up to date.

    Args:
      sweep: the sweep.
    """
    found, axes = rows(sweep), _axes(sweep)
    columns = dict.fromkeys(column for row in found for column in row)
    # The sort is stable: it only moves the columns of best scores behind all others.
    by_kind = sorted(columns, key=lambda column: column.startswith("best."))
    head = dict.fromkeys((*_FIRST_COLUMNS, *axes, *by_kind))
    file = io.StringIO()
    writer = csv.DictWriter(file, list(head), lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: cells.quote(value) for key, value in row.items()} for row in found)
    rundir.write_text(sweep.results, file.getvalue())


def best_table(sweep: SweepDir, column: str, direction: str, count: int) -> str:
    """Return a text table of the best runs, with their values of the axes.

    Args:
      sweep: the sweep.
      column: the column of results.csv by which runs are compared.
      direction: "max" if larger numbers are better, else "min".
      count: how many runs to list.

    Returns:
      Lines of text, or "" if no run has a number in this column.
    """
    # Runs that were pruned, failed or stopped have scores of earlier steps, which are not comparable.
    scored = [row for row in rows(sweep) if row["status"] == "done" and column in row]
    scored.sort(key=lambda row: row[column], reverse=direction == "max")
    best = scored[:count]
    if not best:
        return ""
    axes = _axes(sweep)
    cells = [[column, *axes]]
    for row in best:
        cells.append([f"{row[column]:.5g}", *(row[key] for key in axes)])
    return _aligned(cells)


def _axes(sweep: SweepDir) -> list[str]:
    """Return the config keys of the axes, which are those of any run."""
    return list(next(iter(sweep.read()[1].values())))


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    """Return lines of text with the cells of each column below each other."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = []
    for row in rows:
        padded = [cell.ljust(width) for cell, width in zip(row, widths)]
        lines.append("  ".join(padded).rstrip())
    return "\n".join(lines)
