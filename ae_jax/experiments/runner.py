"""Training a config in a run directory: begun or resumed, watched, and kept."""

import dataclasses
import functools
import json
import pathlib
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ae_jax.core import errors
from ae_jax.core.errors import RunFailed, UserError
from ae_jax.core.types import FORMAT, DataSpec
from ae_jax.data.batching import describe_range
from ae_jax.devices import mesh, processes
from ae_jax.evaluation import gather
from ae_jax.experiments import analysis, checks, experiment, hooks, open_run, rundir
from ae_jax.training import loop, precision
from ae_jax.training.checkpoints import Checkpoints
from ae_jax.training.step import TrainState


@dataclasses.dataclass(frozen=True)
class Summary:
    step: int
    seconds: float
    metrics: dict[str, float]  # of the last evaluation


def train_run(config: Any, workdir: str, say=print, profile: bool = False, *, trust: Sequence[str] = ()) -> Summary:
    """Trains `config` in `workdir` to its end, from its newest checkpoint if there is one, on its mesh of devices.

    profile: whether to trace a window of steps, into profile/.
    trust: modules that the run train.init_from may name, beside those that `config` names.
    Raises UserError before anything is written; RunFailed where it was stopped, its numbers stayed non-finite or the
    disk is full.
    """
    config = checks.complete(config)
    with mesh.over(config.mesh.data, config.mesh.fsdp):
        try:
            return _train_run(config, workdir, say, profile, trust)
        except OSError as error:
            cure = "the same command goes on from the last checkpoint there"
            raise RunFailed(f"training in {workdir!r} ended: {error}\n{cure}") from None


def _train_run(config, workdir, say, profile, trust):
    started, compiling = time.perf_counter(), CompileClock()
    with processes.agreeing():
        (config,) = open_run.pinned([config], trust)
        notes = rundir.check_new_or_same(workdir, config)
        run = rundir.RunDir(pathlib.Path(workdir))
        fitted = run.read()[1] if run.config.exists() else None
        built = checked(config, run.format, trust=trust, fitted=fitted)
        steps = built.steps
    rundir.check_shared(workdir)
    complain = functools.partial(say, file=sys.stderr) if processes.leads() else lambda line: None
    folder = rundir.RunDir(pathlib.Path(workdir)).checkpoints
    checkpoints = Checkpoints(folder, config.train.keep, **analysis.criterion(config), warn=complain)
    state = checkpoints.restore(built.state_shapes())
    state = first_state(built) if state is None else state
    if int(state.step) > steps:
        raise UserError(f"train.steps is {steps}, and the run in {workdir!r} has {int(state.step)}\nexpected no fewer")
    start, versions = int(state.step), rundir.RunDir(pathlib.Path(workdir)).versions
    # Who calls an ended run's command again did not train it.
    kept = json.loads(versions.read_text()) if start == steps and versions.exists() else {}
    run = rundir.begin(workdir, config, built.spec, built.format, **kept)
    for note in notes:
        complain(note)
    if start:
        say(f"going on from step {start} of {steps} in {run.path}")
    for path in (run.metrics, run.timings):
        rundir.truncate_lines(path, start)
    watch = _Watch(built, run, checkpoints, start, steps, profile)
    try:
        state, _ = loop.fit(
            state,
            built.batches("train"),
            built.step,
            built.hparams,
            steps=steps,
            hooks=watch.hooks(),
            max_bad_steps=config.train.max_bad_steps,
        )
    except loop.NonFiniteError as error:
        checkpoints.wait()
        good = checkpoints.steps()
        raise RunFailed(
            f"{error}; {describe_range(built.splits['train']['x'], built.spec)}\n"
            f"last good checkpoint: {f'step {good[-1]}' if good else 'none'} in {run.checkpoints}"
        ) from None
    finally:
        watch.close()
        seconds = {"compile_seconds": round(compiling.seconds, 2)}
        rundir.write_json(run.versions, {**rundir.versions(), **seconds, **kept})
    if int(state.step) < steps:
        raise RunFailed(
            f"stopped at step {int(state.step)} of {steps}, saved in {run.path}\nthe same command goes on from there"
        )
    return Summary(int(state.step), time.perf_counter() - started, watch.scores)


def checked(
    config: Any, format: int = FORMAT, *, trust: Sequence[str] = (), fitted: DataSpec | None = None
) -> experiment.Experiment:
    """The experiment of a config. Raises UserError where its parts do not fit, the metrics to evaluate it with too.

    format, trust, fitted: as in `experiment.build`.
    """
    built = experiment.build(config, format=format, trust=trust, fitted=fitted)
    built.check()
    analysis.check_metrics(built)
    return built


def first_state(built: experiment.Experiment, seed: int | None = None, hparams: Any = None) -> TrainState:
    """The state before the first step: drawn from the seed, its parameters those of the run train.init_from if any.

    seed, hparams: those of another run of the same program; by default this experiment's own.
    """
    seed, donor = built.config.seed if seed is None else seed, built.config.train.init_from
    state = built.init(jax.random.key(seed), hparams)
    if not donor:
        return state
    params = precision.full(_donor(donor, built))
    kept = precision.stored(built.config.train.precision, params)
    return state.replace(params=kept, ema=state.ema and jax.tree.map(jnp.copy, params))


def _donor(workdir: str, built: experiment.Experiment) -> Any:
    """The parameters of another run of the same network. Raises UserError."""
    params = analysis.load(workdir, trust=built.trust).variables["params"]
    if difference := errors.first_difference(params, built.state_shapes().params):
        raise UserError(f"train.init_from={workdir!r} is a run of another network\n{difference}")
    return params


def held_out_split(config: Any) -> str:
    """The split on which a run is evaluated while it trains."""
    return "validation" if config.data.validation else "test"


def score(built: experiment.Experiment, state: TrainState, lines: Any, data: Any) -> dict[str, float]:
    """Compute the config's eval.metrics for a state; `lines` are those of metrics.jsonl so far."""
    return analysis.evaluate(built, scored_variables(state), built.config.eval.metrics, data.replace(metrics=lines))


def scored_variables(state: TrainState) -> dict[str, Any]:
    """Those of the average of the parameters, where there is one."""
    return analysis.variables_of(state, "raw" if state.ema is None else "ema")


def headline(scores: Mapping[str, float]) -> dict[str, float]:
    """The scores without standard errors, floors and the rates of single dimensions of the code."""
    return {k: v for k, v in scores.items() if not k.endswith(("_se", "_floor")) and not k.startswith("kl_dimension")}


class CompileClock:
    """Adds up the seconds that XLA compiles."""

    def __init__(self):
        self.seconds = 0.0
        jax.monitoring.register_event_duration_secs_listener(self._add)

    def _add(self, event: str, seconds: float, **_):
        if event.endswith("backend_compile_duration"):
            self.seconds += seconds


class _Watch:
    """The hooks of a run, in the order in which they act on a step: log, evaluate, save, stop."""

    def __init__(self, built, run, checkpoints, start, steps, profile):
        self._built, self._run, self._checkpoints = built, run, checkpoints
        self._calendar = hooks.Calendar.of(built.config.train, steps)
        self._split = held_out_split(built.config)
        self._data = analysis.data_of(built, self._split)
        self._board = hooks.TensorBoard(run, start)
        self._progress = hooks.Progress(run, start, steps, built.config.train.batch_size)
        only_one = loop.next_stop(start, steps, self._calendar.periods) == steps
        self._profile = hooks.Profile(run, only_one) if profile else None
        self._stop = hooks.Stop()
        self.scores = {}

    def hooks(self) -> list[loop.Hook]:
        return [(period, self._act) for period in self._calendar.periods]

    def _act(self, step, state, metrics):
        if self._profile:
            self._profile()
        hooks.record(self._run, step, "train", metrics)
        stopping = processes.any_of(self._stop.requested)  # and what was recorded can be read by all
        self._board.scalars("train", step, metrics)
        self._progress(step, metrics)
        fresh = {}
        if self._calendar.evaluates(step):
            fresh = self._evaluate(step, state)
        if self._calendar.saves(step) or self._checkpoints.is_best(fresh) or stopping:
            self._checkpoints.save(state, fresh)
        self._progress.resume(step)
        return stopping

    def _evaluate(self, step, state):
        self.scores = score(self._built, state, rundir.read_lines(self._run.metrics), self._data)
        hooks.record(self._run, step, self._split, self.scores)
        self._board.scalars(self._split, step, self.scores)
        if (image := _reconstructions(self._built, state, self._data.test)) is not None:
            self._board.image("reconstructions", step, image)
        self._print_scores()
        return self.scores

    def _print_scores(self):
        text = "  ".join(f"{name} {value:.4g}" for name, value in headline(self.scores).items())
        rates = [value for name, value in self.scores.items() if name.startswith("kl_dimension")]
        shown = (
            f"  of {len(rates)}; KL per dimension in nats: {' '.join(f'{nats:.2f}' for nats in rates)}" if rates else ""
        )
        print(f"  {self._split}: {text}{shown}", flush=True)

    def close(self):
        self._stop.restore()
        if self._profile:
            self._profile.close()
        self._board.close()
        self._checkpoints.close()


def _reconstructions(built, state, batches, count: int = 8):
    """[2 H, count W, C]: examples above their reconstructions; None for data that are no images."""
    shape = built.spec.shape
    if len(shape) != 3 or shape[-1] not in (1, 3):
        return None
    variables, compute = scored_variables(state), gather.compiled(_example_and_mean, built.model)
    images = gather.gather(compute, variables, batches, jax.random.key(0), count)
    rows = [np.concatenate(list(images[name]), axis=1) for name in ("example", "mean")]
    return np.clip(np.concatenate(rows), 0, 1)


def _example_and_mean(model, variables, batch, key):
    return {"example": batch["x"], "mean": model.apply(variables, batch, rngs={"latent": key}).likelihood.mean[0]}
