"""Open a trained run from its directory, compute its metrics and draw its figures."""

import contextlib
import dataclasses
import functools
import inspect
import math
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax

from ae_jax.core import files, lookup
from ae_jax.core.errors import UserError
from ae_jax.core.types import DataSpec
from ae_jax.data.batching import Batches
from ae_jax.data.sources import called
from ae_jax.devices import mesh
from ae_jax.evaluation import comparable, gather
from ae_jax.evaluation.data import EvalData
from ae_jax.experiments import eval_data, experiment, rundir, trusted
from ae_jax.training.checkpoints import Checkpoints


@dataclasses.dataclass(frozen=True)
class Trained:
    """A trained run, opened at one of its checkpoints. Data are opened when they are first read.

    Args:
      run: the run's directory.
      experiment: the objects that the run's config names.
      variables: the variables of the model, {collection: tree}.
      data: the data that metrics and figures may read.
      context: the keys of an evaluation's record that say where its numbers come from.
      seed: the seed of all noise in evaluations.
    """

    run: rundir.RunDir
    experiment: experiment.Experiment
    variables: dict[str, Any]
    data: EvalData
    context: dict[str, Any]
    seed: int

    @property
    def model(self) -> Any:
        """Return the model, a Linen module."""
        return self.experiment.model

    @property
    def spec(self) -> DataSpec:
        """Return the specification of one example."""
        return self.experiment.spec

    @property
    def splits(self) -> Mapping[str, Mapping[str, Any]]:
        """Return {"train", "validation"?, "test"}: the arrays of the run's own data, as stored."""
        return self.experiment.splits

    @functools.cached_property
    def digest(self) -> str:
        """Return the digest of the variables, by which another run's config refers to this run."""
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
    """Open the run in a directory at one of its checkpoints.

    Args:
      workdir: the run's directory.
      checkpoint: "newest", "best" or a step number.
      params: "ema" or "raw" weights; None takes the EMA if the run kept one.
      seed: the seed of all noise in evaluations.
      split: the split that is evaluated, as in `eval_data.data_of`.
      batch_size: examples per device call.
      limit: the number of examples of each split that are read, evenly over it; all of them by default.
      data: other data to evaluate on, "NAME" or "SOURCE:PATH".
      trust: the modules outside ae_jax that stored configs may name, as a sequence or joined by commas.

    Raises:
      UserError: there is no run or no such checkpoint, or the config names a module that is not trusted.
    """
    if params not in (None, "ema", "raw"):
        raise UserError(f"params is {params!r}\nexpected 'ema' or 'raw'")
    run = rundir.RunDir(pathlib.Path(workdir).absolute())
    config, spec = run.read()
    trust = trust.split(",") if isinstance(trust, str) else trust
    # The check comes first: building an experiment imports the modules that its config names.
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
    # The EMA usually scores better than the last raw weights, so it is the default.
    if params == "ema" and state.ema is None:
        raise UserError("this run kept no average of its parameters\ntry --params=raw, or train with train.ema")
    which = params or ("raw" if state.ema is None else "ema")
    context = {
        "step": int(state.step),
        "params": which,
        "split": eval_data.split_of(split, data),
        "seed": seed,
        "data": data or called(config.data),
    }
    context["binarize"] = config.data.binarize
    if limit:
        context["limit"] = limit
    readable = eval_data.data_of(built, split, batch_size, limit, seed, data, run)
    return Trained(run, built, variables_of(state, which), readable, context, seed)


def on_all_devices(workdir: str) -> contextlib.AbstractContextManager:
    """Return a context in which the run in `workdir` is evaluated on all devices.

    Parameters are sharded as in training if the number of devices allows it, and replicated otherwise.
    """
    config, _ = rundir.RunDir(pathlib.Path(workdir).absolute()).read()
    count = jax.device_count()
    fsdp = count if config.mesh.fsdp == -1 else config.mesh.fsdp
    # The run may have been trained on another number of devices, which its shards do not divide.
    return mesh.over(-1, 1 if count % fsdp else fsdp)


def variables_of(state: Any, params: str) -> dict[str, Any]:
    """Return the variables of a training state, with its "ema" or its "raw" parameters."""
    return {"params": state.ema if params == "ema" else state.params, **state.extra}


def criterion(config: Any) -> dict[str, Any]:
    """Return the criterion and direction by which `Checkpoints` keeps the best.

    Without a validation split there is none, because no checkpoint is chosen on test data.
    """
    name, better = config.eval.criterion, directions(config)
    if not config.data.validation or not name:
        return {}
    if name not in better:
        raise UserError(
            f"eval.criterion {name!r} is none of what eval.metrics give\nexpected one of: {', '.join(better)}"
        )
    return {"criterion": name, "direction": better[name]}


def directions(config: Any) -> dict[str, str]:
    """Return {score: "max" or "min"}, its better direction, for all scores of eval.metrics."""
    modules = [lookup.module("metrics", metric) for metric in config.eval.metrics]
    return {key: direction for module in modules for key, direction in module.BETTER.items()}


def options_for(function: Callable, prefix: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keyword-only arguments of a function that `options` give as PREFIX_KEYWORD.

    Args:
      function: the metric or figure.
      prefix: its name; the option --nll_samples is the argument `samples` of metric nll.
      options: {PREFIX_KEYWORD: value}, of any metrics and figures.
    """
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
    """Compute metrics of a model.

    Args:
      built: the run's experiment.
      variables: the variables of the model.
      names: the metrics, files in ae_jax/evaluation/metrics.
      data: the data that the metrics read.
      seed: the seed of the metrics' noise.
      options: {METRIC_KEYWORD: value}, the metrics' options.

    Returns:
      {score: value}; a metric may give several scores.

    Raises:
      UserError: a metric is unknown, which is found before any is computed, or does not fit the model.
    """
    # All names are resolved first, so that a misspelt one costs no minutes of computation.
    functions = {name: lookup.find("metrics", name, "evaluate") for name in names}
    scores: dict[str, float] = {}
    for name, function in functions.items():
        keywords = options_for(function, name, options or {})
        scores |= function(built.model, variables, data, jax.random.key(seed), **keywords)
    return scores


def check_metrics(built: experiment.Experiment) -> None:
    """Check that eval.metrics fit the model and its data; raise UserError otherwise.

    Each metric runs on shapes alone, up to its first use of the model. Nothing is compiled.
    """
    variables, shapes = variables_of(built.state_shapes(), "raw"), built.shapes()
    data = EvalData.of(train=shapes, test=shapes, metrics=[{"split": "train"}])
    for name in built.config.eval.metrics:
        with contextlib.suppress(gather.OnShapes):
            evaluate(built, variables, [name], data)


def evaluate_run(trained: Trained, names: Sequence[str], options: Mapping[str, Any]) -> dict[str, Any]:
    """Compute metrics of a trained run by `measure`, and `store` their record."""
    record = measure(trained, names, options)
    store(trained, record)
    return record


def measure(trained: Trained, names: Sequence[str], options: Mapping[str, Any]) -> dict[str, Any]:
    """Compute metrics of a trained run.

    Args:
      trained: the opened run.
      names: the metrics; UserError is raised if there are none.
      options: {METRIC_KEYWORD: value}, the metrics' options, which the record repeats.

    Returns:
      The record: where the numbers come from, the options and the scores.
    """
    if not names:
        raise UserError(f"no metrics\nexpected some of: {', '.join(lookup.choices('evaluation'))}")
    scores = evaluate(trained.experiment, trained.variables, names, trained.data, trained.seed, options)
    # JSON has no NaN, which is the standard error of a single example: it becomes null. Some scores are texts.
    written = {k: v if isinstance(v, str) or math.isfinite(v) else None for k, v in scores.items()}
    # Metrics of the training itself read no examples, and counting them would open the data.
    examples = trained.data.test.num_examples if trained.data.opened("test") else 0
    return {**trained.context, "examples": examples, **options, **written}


def store(trained: Trained, record: Mapping[str, Any], output: str = "") -> None:
    """Append a record to evaluations.jsonl; raise RunFailed where the disk refuses."""
    folder = pathlib.Path(output).absolute() if output else trained.run.path
    with files.naming_disk_errors(folder, f"the result is printed; {files.ELSEWHERE}"):
        folder.mkdir(parents=True, exist_ok=True)
        rundir.append_line(rundir.RunDir(folder).evaluations, record)


def draw(
    trained: Trained, names: Sequence[str], options: Mapping[str, Any], file_format: str, output: str = ""
) -> list[pathlib.Path]:
    """Draw figures into figures/ of a trained run, or into another folder.

    Args:
      trained: the opened run.
      names: the figures, files in ae_jax/plots/figures.
      options: {FIGURE_KEYWORD: value}, the figures' options.
      file_format: the extension of the pictures, such as "png" or "pdf".
      output: the folder for the pictures; "" for figures/.

    Returns:
      The paths of the pictures.
    """
    from ae_jax.plots import style

    modules = {name: (lookup.find("figures", name, "arrays"), lookup.find("figures", name, "figure")) for name in names}
    made = {}
    for name, (arrays, _) in modules.items():
        # Every figure has the same key, so that it does not depend on the figures beside it.
        key, keywords = jax.random.key(trained.seed), options_for(arrays, name, options)
        made[name] = arrays(trained.experiment.model, trained.variables, trained.data, key, **keywords)
    # All arrays are made before anything is written, so that a mistake leaves no half of the figures.
    folder = pathlib.Path(output).absolute() if output else trained.run.figures
    with files.naming_disk_errors(folder, files.ELSEWHERE):
        return [
            style.save(folder / name, arrays, modules[name][1](arrays), file_format) for name, arrays in made.items()
        ]
