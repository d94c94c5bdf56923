"""Open a trained run from its directory: its model and variables, its scores, its figures."""

import contextlib
import dataclasses
import functools
import inspect
import math
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax

from ae_jax.core import lookup
from ae_jax.core.errors import UserError
from ae_jax.core.types import DataSpec
from ae_jax.data import mapped, splits
from ae_jax.data.batching import Batches, evenly, outside
from ae_jax.data.sources import called
from ae_jax.devices import mesh
from ae_jax.evaluation import comparable, gather
from ae_jax.evaluation.data import EvalData
from ae_jax.experiments import experiment, rundir, trusted
from ae_jax.training.checkpoints import Checkpoints


@dataclasses.dataclass(frozen=True)
class Trained:
    """A run at one of its checkpoints, and the data to look at it with, opened when they are read."""

    run: rundir.RunDir
    experiment: experiment.Experiment
    variables: dict[str, Any]
    data: EvalData
    context: dict[str, Any]  # what an evaluation's record says of where its numbers come from
    seed: int

    @property
    def model(self) -> Any:
        """The model, a Linen module."""
        return self.experiment.model

    @property
    def spec(self) -> DataSpec:
        """Return the specification of one example."""
        return self.experiment.spec

    @property
    def splits(self) -> Mapping[str, Mapping[str, Any]]:
        """{"train", "validation"?, "test"}: the arrays of the run's own data, as stored."""
        return self.experiment.splits

    @functools.cached_property
    def digest(self) -> str:
        """The digest of the parameters, by which another run refers to them."""
        return comparable.digest(self.variables)

    def uncorrupted(self, split: str, batch_size: int = 500) -> Batches:
        """Return the batches of a split of the run's own data, with "x" itself as "inputs"."""
        return self.experiment.uncorrupted(split, batch_size)


def load(
    workdir: str,
    *,
    checkpoint: str = "newest",
    params: str | None = None,
    seed: int = 0,
    split: str | None = None,
    batch_size: int = 500,
    limit: int | None = None,
    data: str = "",
    trust: str | Sequence[str] = (),
) -> Trained:
    """The run in `workdir` at a checkpoint: "newest", "best" or a step number.

    params: "ema" or "raw"; None takes the average where there is one.
    split, data: as in `data_of`; limit: so many of its examples only, evenly over it.
    trust: the modules outside ae_jax that the stored config, and those of runs opened beside this one, may name.
    Raises UserError where something is missing.
    """
    if params not in (None, "ema", "raw"):
        raise UserError(f"params is {params!r}\nexpected 'ema' or 'raw'")
    run = rundir.RunDir(pathlib.Path(workdir).absolute())
    config, spec = run.read()
    trust = trust.split(",") if isinstance(trust, str) else trust
    trusted.check(config, trust, run.config)
    built = experiment.build_stored(config, spec, run.format, run.config, trust=trust)
    absent = UserError(
        f"no checkpoint in {str(run.path)!r} that can be read\n"
        f"train it first: scripts/train.py --config=... --workdir={workdir}"
    )
    if not run.checkpoints.is_dir():
        raise absent
    checkpoints = Checkpoints(run.checkpoints, keep=config.train.keep, **criterion(config), read_only=True)
    state = checkpoints.restore(built.state_shapes(), checkpoint)
    checkpoints.close()
    if state is None:
        raise absent
    if params == "ema" and state.ema is None:
        raise UserError("this run kept no average of its parameters\ntry --params=raw, or train with train.ema")
    which = params or ("raw" if state.ema is None else "ema")
    context = {
        "step": int(state.step),
        "params": which,
        "split": split_of(split, data),
        "seed": seed,
        "data": data or called(config.data),
    }
    context |= {"binarize": config.data.binarize, **({"limit": limit} if limit else {})}
    readable = data_of(built, split, batch_size, limit, seed, data, run)
    return Trained(run, built, variables_of(state, which), readable, context, seed)


def on_all_devices(workdir: str) -> contextlib.AbstractContextManager:
    """A context in which the run in `workdir` is evaluated on all devices, its parameters cut as they were in training,
    where the devices can be shared out so.
    """
    fsdp, there = rundir.RunDir(pathlib.Path(workdir).absolute()).read()[0].mesh.fsdp, jax.device_count()
    fsdp = there if fsdp == -1 else fsdp
    return mesh.over(-1, 1 if there % fsdp else fsdp)


def variables_of(state: Any, params: str) -> dict[str, Any]:
    return {"params": state.ema if params == "ema" else state.params, **state.extra}


def criterion(config: Any) -> dict[str, Any]:
    """Return the criterion and direction by which `Checkpoints` keeps the best.

    Without a validation split there is none, because no checkpoint is chosen on test data."""
    name, better = config.eval.criterion, directions(config)
    if not config.data.validation or not name:
        return {}
    if name not in better:
        raise UserError(
            f"eval.criterion {name!r} is none of what eval.metrics give\nexpected one of: {', '.join(better)}"
        )
    return {"criterion": name, "direction": better[name]}


def directions(config: Any) -> dict[str, str]:
    """{name: "max" or "min"}, which direction is better, of all that the config's eval.metrics answer."""
    modules = [lookup.module("metrics", metric) for metric in config.eval.metrics]
    return {key: direction for module in modules for key, direction in module.BETTER.items()}


def split_of(split: str | None, other: str) -> str:
    """Return the split that is evaluated: `split` if given, else "test"; "all" of other data "SOURCE:PATH"."""
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
    """Return what metrics and figures may read of a run's data; nothing is opened yet.

    Args:
      built: the run's experiment.
      split: the split that is evaluated, `split_of(split, other)`. In "all" of other data their training examples are
        test examples, too.
      batch_size: examples per device call.
      limit: how many examples of each split are read, evenly over it; all of them by default.
      seed: of the noise that prepares the batches.
      other: "NAME" or "SOURCE:PATH" of data to read in place of the run's own.
      run: the run's directory, for the lines of metrics.jsonl.

    Raises:
      UserError: when read, where the data do not fit the model.
    """

    def batches(name, limit=limit):
        if not other:
            found = built.splits
        else:
            found = splits.other(built.config, built.spec, other, name == "all", built.open_run, built.format)
        if name not in found:
            raise UserError(f"no split {name!r} in these data\nwhat exists: {', '.join(found)}")
        arrays = _subsampled(found[name], limit)
        if other:
            _check_support(built, arrays["x"], other)
        if "label" not in arrays:
            _check_reads_no_label(built, other)
        return built.held_out(arrays, batch_size, seed)

    # Other runs, to which a figure or a metric compares this one, serve the same part of their data.
    open_run = functools.partial(load, split=split, batch_size=batch_size, limit=limit, seed=seed, trust=built.trust)
    return EvalData(
        {
            "train": lambda: batches("train"),
            "test": lambda: batches(split_of(split, other)),
            "corpus": lambda: batches("train", None),
            "metrics": lambda: rundir.read_lines(run.metrics) if run else [],
            "open_run": lambda: open_run,
            "input_shape": lambda: built.input_shape,
        }
    )


def _subsampled(arrays: Mapping[str, Any], limit: int | None) -> dict[str, Any]:
    """Return at most `limit` examples of a split at even distances, because data may be sorted."""
    count = len(arrays["x"])
    if not limit or limit >= count:
        return dict(arrays)
    return {key: mapped.rows(values, evenly(limit, count)) for key, values in arrays.items()}


def _check_support(built: experiment.Experiment, values: Any, other: str) -> None:
    """Raise UserError for values [N, ...] of other data that have no likelihood under the model."""
    low, high = built.model.support
    if found := outside(values, built.spec, (low, high)):
        expected = f"values from {low:g} to {high:g}" if math.isfinite(high) else "finite numbers"
        raise UserError(f"--data={other} has {found}\nexpected {expected}, as this model was trained on")


def _check_reads_no_label(built: experiment.Experiment, other: str) -> None:
    """Raise UserError for a model that reads labels, as the data have none."""
    if built.model.reads_label:
        raise UserError(
            f"{f'--data={other}' if other else 'the data of this run'} has no labels that this model reads\n"
            f"expected data with {built.spec.labels}"
        )


def options_for(function: Callable, prefix: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The keyword-only options of `function` that stand in `options` as PREFIX_KEYWORD."""
    keywords = [p.name for p in inspect.signature(function).parameters.values() if p.kind is p.KEYWORD_ONLY]
    return {key: options[f"{prefix}_{key}"] for key in keywords if f"{prefix}_{key}" in options}


def evaluate(
    built: experiment.Experiment,
    variables: Any,
    names: Sequence[str],
    data: EvalData,
    seed: int = 0,
    options: Mapping[str, Any] | None = None,
) -> dict[str, float]:
    """Compute the named metrics. Raise UserError for an unknown one, before any is computed."""
    functions = {name: lookup.find("metrics", name, "evaluate") for name in names}
    scores: dict[str, float] = {}
    for name, function in functions.items():
        keywords = options_for(function, name, options or {})
        scores |= function(built.model, variables, data, jax.random.key(seed), **keywords)
    return scores


def check_metrics(built: experiment.Experiment) -> None:
    """Raises UserError where one of the config's eval.metrics does not fit the model or its data.

    Each is asked on shapes alone, until it first asks the model; nothing is compiled.
    """
    variables, shapes = variables_of(built.state_shapes(), "raw"), built.shapes()
    data = EvalData.of(train=shapes, test=shapes, metrics=[{"split": "train"}])
    for name in built.config.eval.metrics:
        with contextlib.suppress(gather.OnShapes):
            evaluate(built, variables, [name], data)


def evaluate_run(trained: Trained, names: Sequence[str], options: Mapping[str, Any]) -> dict[str, Any]:
    """The record of an evaluation, which is also appended to evaluations.jsonl. Raises UserError for no metrics."""
    if not names:
        raise UserError(f"no metrics\nexpected some of: {', '.join(lookup.choices('evaluation'))}")
    scores = evaluate(trained.experiment, trained.variables, names, trained.data, trained.seed, options)
    # JSON knows no NaN: the standard error of a single example is null. A text says where numbers come from.
    known = {k: v if isinstance(v, str) or math.isfinite(v) else None for k, v in scores.items()}
    # Metrics that read no example, as those of the training itself, are of none.
    examples = trained.data.test.num_examples if trained.data.opened("test") else 0
    record = {**trained.context, "examples": examples, **options, **known}
    rundir.append_line(trained.run.evaluations, record)
    return record


def draw(trained: Trained, names: Sequence[str], options: Mapping[str, Any], file_format: str) -> list[pathlib.Path]:
    """Draws the named figures into figures/; answers the paths. All arrays are made before anything is written."""
    from ae_jax.plots import style

    modules = {name: (lookup.find("figures", name, "arrays"), lookup.find("figures", name, "figure")) for name in names}
    made = {}
    for name, (arrays, _) in modules.items():
        key, keywords = jax.random.key(trained.seed), options_for(arrays, name, options)
        made[name] = arrays(trained.experiment.model, trained.variables, trained.data, key, **keywords)
    trained.run.figures.mkdir(exist_ok=True)
    return [
        style.save(trained.run.figures / name, arrays, modules[name][1](arrays), file_format)
        for name, arrays in made.items()
    ]
