"""Render the results of `ae_jax.commands.adbench`: tables, mean ranks, wins and losses."""

from collections.abc import Mapping
from typing import Any

import numpy as np

# Tables with fewer rows are listed apart and not averaged: their test parts have only a few anomalies.
SMALL = 200
_NAMES = {"auc_roc": "AUC-ROC", "auc_pr": "AUC-PR"}


def markdown(results: Mapping[str, Any]) -> str:
    """Return all tables in Markdown.

    Args:
      results: {table: what `adbench.measure` found}.
    """
    large = {name: found for name, found in results.items() if found["rows"] >= SMALL}
    small = {name: found for name, found in results.items() if found["rows"] < SMALL}
    parts = [_each_table(large, "auc_roc"), _summary(large, "auc_roc"), _summary(large, "auc_pr")]
    if small:
        parts += [f"Tables of fewer than {SMALL} rows, which are not averaged:", _each_table(small, "auc_roc")]
    return "\n\n".join(parts)


def means(results: Mapping[str, Any], metric: str) -> dict[str, np.ndarray]:
    """Return {method: its mean over the seeds for each table [T]}."""
    methods = next(iter(results.values()))[metric]
    return {name: np.array([np.mean(found[metric][name]) for found in results.values()]) for name in methods}


def mean_ranks(results: Mapping[str, Any], metric: str) -> dict[str, float]:
    """Return {method: its mean rank}, 1 for the best; equal values share their mean rank."""
    from scipy.stats import rankdata

    values = means(results, metric)
    # Rank 1 is the largest value, and rankdata ranks the smallest first.
    ranks = rankdata(-np.stack(list(values.values())), axis=0)
    return dict(zip(values, ranks.mean(axis=1).tolist(), strict=True))


def wins(results: Mapping[str, Any], metric: str, method: str, other: str) -> tuple[int, int]:
    """Count the tables on which a method is above, and below, another method."""
    values = means(results, metric)
    difference = values[method] - values[other]
    return int((difference > 0).sum()), int((difference < 0).sum())


def _each_table(results: Mapping[str, Any], metric: str) -> str:
    """Return a line for each table: its sizes, and mean and deviation of each method."""
    methods = next(iter(results.values()))[metric]
    lines = [f"| {_NAMES[metric]} | rows x columns | anomalies | " + " | ".join(methods) + " |"]
    lines.append("| --- | --- | --- |" + " --- |" * len(methods))
    for name, found in results.items():
        cells = [f"{np.mean(values):.3f} ± {np.std(values, ddof=1):.3f}" for values in found[metric].values()]
        share = found["anomalies"] / found["rows"]
        lines.append(f"| {name} | {found['rows']} x {found['columns']} | {share:.1%} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _summary(results: Mapping[str, Any], metric: str) -> str:
    """Return a line for each method: mean, mean rank, wins and losses."""
    values, ranks = means(results, metric), mean_ranks(results, metric)
    lines = [
        f"| {_NAMES[metric]}, {len(results)} tables | mean | mean rank | wins : losses against "
        + " | ".join(values)
        + " |"
    ]
    lines.append("| --- | --- | --- |" + " --- |" * len(values))
    for name, of_tables in values.items():
        against = [":".join(map(str, wins(results, metric, name, other))) if other != name else "" for other in values]
        lines.append(f"| {name} | {of_tables.mean():.3f} | {ranks[name]:.2f} | " + " | ".join(against) + " |")
    return "\n".join(lines)
