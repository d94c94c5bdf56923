"""Give metrics and figures the data of a run, or other data that its model fits."""

import math
from collections.abc import Mapping
from typing import Any

from ae_jax.core.errors import UserError
from ae_jax.data import mapped, splits
from ae_jax.data.batching import Batches, evenly, outside
from ae_jax.evaluation.data import EvalData
from ae_jax.experiments import experiment, rundir


def split_of(split: str | None, other: str) -> str:
    """Return the name of the split that is evaluated.

    Args:
      split: the split that the user chose; None for the default.
      other: other data, as in `data_of`. The default is "test", or "all" of data at a path, which the model never saw.
    """
    return split or ("all" if ":" in other else "test")


def data_of(
    built: experiment.Experiment,
    split: str | None = None,
    batch_size: int = 500,
    limit: int | None = None,
    seed: int = 0,
    other: str = "",
    run: rundir.RunDir | None = None,
) -> EvalData:
    """Return the data of a run that metrics and figures may read; nothing is opened yet.

    Args:
      built: the run's experiment.
      split: the split that is evaluated, `split_of(split, other)`. "all" of other data includes their training
        examples.
      batch_size: examples per device call.
      limit: the number of examples of each split that are read, evenly over it; all of them by default.
      seed: the seed of the noise that prepares the batches.
      other: "NAME" or "SOURCE:PATH" of data to read in place of the run's own.
      run: the run's directory, for the lines of metrics.jsonl.

    Raises:
      UserError: the data do not fit the model. It is raised when they are first read.
    """
    from ae_jax.experiments import analysis  # analysis imports this module

    def batches(name: str, limit: int | None) -> Batches:
        arrays = _subsampled(_split(built, name, other), limit)
        if other:
            _check_support(built, arrays["x"], other)
        if "label" not in arrays:
            _check_reads_no_label(built, other)
        return built.held_out(arrays, batch_size, seed)

    def open_run(workdir: str) -> Any:
        return analysis.load(workdir, split=split, batch_size=batch_size, limit=limit, seed=seed, trust=built.trust)

    return EvalData(
        {
            "train": lambda: batches("train", limit),
            "test": lambda: batches(split_of(split, other), limit),
            # The limit bounds the cost of an evaluation. The corpus is what the model was trained on, all of it.
            "corpus": lambda: batches("train", None),
            "metrics": lambda: rundir.read_lines(run.metrics) if run else [],
            "open_run": lambda: open_run,
            "input_shape": lambda: built.input_shape,
        }
    )


def _split(built: experiment.Experiment, name: str, other: str) -> Mapping[str, Any]:
    """Return the arrays {"x", "label"?} of a split; raise UserError if there is no such split."""
    if not other:
        found: Mapping[str, Any] = built.splits
    else:
        found = splits.other(built.config, built.spec, other, name == "all", built.open_run, built.format)
    if name not in found:
        raise UserError(f"no split {name!r} in these data\nwhat exists: {', '.join(found)}")
    return found[name]


def _subsampled(arrays: Mapping[str, Any], limit: int | None) -> dict[str, Any]:
    """Return at most `limit` examples of a split at even distances, because data may be sorted."""
    count = len(arrays["x"])
    if not limit or limit >= count:
        return dict(arrays)
    return {key: mapped.rows(values, evenly(limit, count)) for key, values in arrays.items()}


def _check_support(built: experiment.Experiment, values: Any, other: str) -> None:
    """Raise UserError for values [N, ...] outside the support of the model's likelihood."""
    low, high = built.model.support
    if found := outside(values, built.spec, (low, high)):
        expected = f"values from {low:g} to {high:g}" if math.isfinite(high) else "finite numbers"
        raise UserError(f"--data={other} has {found}\nexpected {expected}, as this model was trained on")


def _check_reads_no_label(built: experiment.Experiment, other: str) -> None:
    """Raise UserError for a model that reads labels, because the data have none."""
    if built.model.reads_label:
        data = f"--data={other}" if other else "the data of this run"
        raise UserError(f"{data} has no labels that this model reads\nexpected data with {built.spec.labels}")
