"""Train a config in a run directory: begin or resume, evaluate, and save checkpoints."""

import contextlib
import dataclasses
import functools
import pathlib
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ae_jax.core import errors, lookup
from ae_jax.core.errors import RunFailed, UserError
from ae_jax.core.types import FORMAT
from ae_jax.data.batching import describe_range
from ae_jax.devices import mesh, processes
from ae_jax.evaluation import gather
from ae_jax.experiments import analysis, checks, eval_data, experiment, hooks, locks, open_run, rundir, versions
from ae_jax.training import loop, precision
from ae_jax.training.checkpoints import Checkpoints
from ae_jax.training.step import TrainState


@dataclasses.dataclass(frozen=True)
class Summary:
    """The result of a training that has reached its end.

    Args:
      step: the last step.
      seconds: the time that this process took.
      metrics: the scores of the last evaluation; empty if there was none.
    """

    step: int
    seconds: float
    metrics: dict[str, float]


def train_run(config: Any, workdir: str, say=print, profile: bool = False, *, trust: Sequence[str] = ()) -> Summary:
    """Train a config in a directory to its end, from its newest checkpoint if there is one.

    Args:
      config: the config, whose section `mesh` chooses the devices.
      workdir: the run's directory.
      say: called with each line for the user, as `print` is.
      profile: whether to trace a window of steps for JAX's profiler, into profile/.
      trust: modules that runs which this one reads may name, beside those that `config` names.

    Raises:
      UserError: the config or the directory has a mistake. Nothing has been written.
      RunFailed: training was stopped, its loss stayed non-finite, or the disk is full.
    """
    config = checks.complete(config)
    with mesh.over(config.mesh.data, config.mesh.fsdp):
        try:
            return _checked_and_trained(config, workdir, say, profile, trust)
        except OSError as error:
            cure = "the same command goes on from the last checkpoint there"
            raise RunFailed(f"training in {workdir!r} ended: {error}\n{cure}") from None


def _checked_and_trained(config, workdir, say, profile, trust):
    """Check the config, lock the directory, and train; a full disk raises OSError."""
    started, compiling = time.perf_counter(), versions.CompileClock()
    paths = rundir.RunDir(pathlib.Path(workdir))
    # If one process finds a mistake, all of them have to end with its error and not wait for one another.
    with processes.agreeing():
        (config,) = open_run.pinned([config], trust)
        rundir.check_new_or_same(workdir, config)
        fitted = paths.read()[1] if paths.config.exists() else None
        built = checked(config, paths.format, trust=trust, fitted=fitted)
    locks.check_shared(workdir)
    with contextlib.ExitStack() as lock:
        with processes.agreeing():
            if processes.leads():
                lock.enter_context(locks.held(workdir))
            # Another process may have trained here since the first check.
            notes = rundir.check_new_or_same(workdir, config)
        step, scores = _train(built, workdir, say, profile, notes, compiling)
    return Summary(step, time.perf_counter() - started, scores)


def _train(built, workdir, say, profile, notes, compiling):
    """Restore or make the state, and train it; return (last step, last scores)."""
    config, steps, paths = (built.config, built.steps, rundir.RunDir(pathlib.Path(workdir)))
    warn = functools.partial(say, file=sys.stderr) if processes.leads() else lambda line: None
    checkpoints = Checkpoints(paths.checkpoints, config.train.keep, **analysis.criterion(config), warn=warn)
    state = checkpoints.restore(built.state_shapes())
    state = first_state(built) if state is None else state
    start = int(state.step)
    if start > steps:
        raise UserError(f"train.steps is {steps}, and the run in {workdir!r} has {start}\nexpected no fewer")
    # Keep versions.json of a finished run: this process trains nothing.
    is_finished = start == steps and paths.versions.exists()
    kept = rundir.read_json(paths.versions) or {} if is_finished else {}
    run = rundir.begin(workdir, config, built.spec, built.format, **kept)
    for note in notes:
        warn(note)
    if start:
        say(f"going on from step {start} of {steps} in {run.path}")
    # An earlier process may have logged steps after its last checkpoint, which are trained again.
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
        checkpoints.wait()  # the newest may still be on its way to the disk
        steps_saved = checkpoints.steps()
        last_good = f"step {steps_saved[-1]}" if steps_saved else "none"
        found = describe_range(built.splits["train"]["x"], built.spec)
        raise RunFailed(f"{error}; {found}\nlast good checkpoint: {last_good} in {run.checkpoints}") from None
    finally:
        watch.close()
        seconds = round(compiling.seconds, 2)
        rundir.write_json(run.versions, {**versions.of_process(), "compile_seconds": seconds, **kept})
    run.check_is_there()
    if int(state.step) < steps:
        where = f"stopped at step {int(state.step)} of {steps}, saved in {run.path}"
        raise RunFailed(f"{where}\nthe same command goes on from there")
    return int(state.step), watch.scores


def checked(
    config: Any, format: int = FORMAT, *, trust: Sequence[str] = (), fitted: Any = None
) -> experiment.Experiment:
    """Build the experiment of a config, and check that its parts and its metrics fit together.

    Args: as for `experiment.build`, whose errors are raised too. A UserError reports parts that do not fit.
    """
    built = experiment.build(config, format=format, trust=trust, fitted=fitted)
    built.check()
    analysis.check_metrics(built)
    return built


def first_state(built: experiment.Experiment, seed: int | None = None, hparams: Any = None) -> TrainState:
    """Return the state before the first step, with the parameters of train.init_from if set.

    Args:
      built: the experiment.
      seed: the seed of another run with the same compiled step; by default this experiment's own.
      hparams: the numbers of another run with the same compiled step; by default this experiment's own.

    Raises:
      UserError: train.init_from is a run of another network.
    """
    seed = built.config.seed if seed is None else seed
    state = built.init(jax.random.key(seed), hparams)
    donor = built.config.train.init_from
    if not donor:
        return state
    params = precision.full(_donor_params(donor, built))
    kept = precision.stored(built.config.train.precision, params)
    # The EMA needs arrays of its own: the step donates its buffers, and JAX donates no buffer twice.
    return state.replace(params=kept, ema=state.ema and jax.tree.map(jnp.copy, params))


def _donor_params(workdir: str, built: experiment.Experiment) -> Any:
    """Return the parameters of another run; raise UserError if its network differs."""
    params = analysis.load(workdir, trust=built.trust).variables["params"]
    if difference := errors.first_difference(params, built.state_shapes().params):
        raise UserError(f"train.init_from={workdir!r} is a run of another network\n{difference}")
    return params


def held_out_split(config: Any) -> str:
    """Return the split on which a run is evaluated while it trains."""
    return "validation" if config.data.validation else "test"


def score(built: experiment.Experiment, state: TrainState, lines: Any, data: Any) -> dict[str, float]:
    """Compute the config's eval.metrics for a training state.

    Args:
      built: the experiment.
      state: the state, whose EMA is evaluated if there is one.
      lines: the lines of metrics.jsonl so far.
      data: the `EvalData` of the run.
    """
    return analysis.evaluate(built, scored_variables(state), built.config.eval.metrics, data.replace(metrics=lines))


def scored_variables(state: TrainState) -> dict[str, Any]:
    """Return the variables of a state to evaluate: those with the EMA if there is one."""
    return analysis.variables_of(state, "raw" if state.ema is None else "ema")


def headline(scores: Mapping[str, float], metrics: Sequence[str] = ()) -> dict[str, float]:
    """Return the scores without standard errors, floors and the KL of single latent dimensions.

    Args:
      scores: {name: value}.
      metrics: names of metrics. If one of them has many scores, and lists the main ones as `MAIN`, only these remain.
    """
    main = [name for metric in metrics for name in _main_scores(metric) if name in scores]
    if main:
        return {name: scores[name] for name in main}
    details = {name for name in scores if name.endswith(("_se", "_floor")) or name.startswith("kl_dimension")}
    return {name: value for name, value in scores.items() if name not in details}


def _main_scores(metric: str) -> tuple[str, ...]:
    """Return the names in `MAIN` of a metric's module; none if it has no such list."""
    function = lookup.find("metrics", metric, "evaluate")
    return getattr(sys.modules[function.__module__], "MAIN", ())


class _Watch:
    """The hooks of a run, in the order in which they act on a step: log, evaluate, save, stop."""

    def __init__(self, built, run, checkpoints, start, steps, profile):
        self._built, self._run, self._checkpoints = built, run, checkpoints
        self._calendar = hooks.Calendar.of(built.config.train, steps)
        self._split = held_out_split(built.config)
        self._data = eval_data.data_of(built, self._split)
        self._board = hooks.TensorBoard(run, start)
        self._progress = hooks.Progress(run, start, steps, built.config.train.batch_size)
        only_one = loop.next_stop(start, steps, self._calendar.periods) == steps
        self._profile = hooks.Profile(run, only_one) if profile else None
        self._stop = hooks.Stop()
        self.scores = {}

    def hooks(self) -> list[loop.Hook]:
        """Return [(period, function)], one for each period of the calendar."""
        return [(period, self._act) for period in self._calendar.periods]

    def _act(self, step, state, metrics):
        """Log, evaluate and save whatever is due at this step; return whether to stop."""
        if self._profile:
            self._profile()
        hooks.record(self._run, step, "train", metrics)
        # All processes wait here for the first, which has written the metrics that the evaluation reads. They must
        # also stop at the same step: training needs all of them.
        stopping = processes.any_of(self._stop.requested)
        self._board.scalars("train", step, metrics)
        self._progress(step, metrics)
        fresh = {}
        if self._calendar.evaluates(step):
            fresh = self._evaluate(step, state)
        if self._calendar.saves(step) or self._checkpoints.is_best(fresh) or stopping:
            self._run.check_is_there()  # a checkpoint would make the directory again
            self._checkpoints.save(state, fresh)
        self._progress.resume(step)
        return stopping

    def _evaluate(self, step, state):
        """Compute, record and print the scores of a state."""
        self.scores = score(self._built, state, rundir.read_lines(self._run.metrics), self._data)
        hooks.record(self._run, step, self._split, self.scores)
        self._board.scalars(self._split, step, self.scores)
        if (image := _reconstructions(self._built, state, self._data.test)) is not None:
            self._board.image("reconstructions", step, image)
        self._print_scores()
        return self.scores

    def _print_scores(self):
        shown = headline(self.scores, self._built.config.eval.metrics)
        text = "  ".join(f"{name} {value:.4g}" for name, value in shown.items())
        rates = [f"{value:.2f}" for name, value in self.scores.items() if name.startswith("kl_dimension")]
        if rates:
            text += f"  of {len(rates)}; KL per dimension in nats: {' '.join(rates)}"
        print(f"  {self._split}: {text}", flush=True)

    def close(self):
        """Put the signal handlers back, and finish what is being written."""
        self._stop.restore()
        if self._profile:
            self._profile.close()
        self._board.close()
        self._checkpoints.close()


def _reconstructions(built, state, batches, count: int = 8):
    """Return [2 H, count W, C], examples above their reconstructions; None for non-images."""
    shape = built.spec.shape
    if len(shape) != 3 or shape[-1] not in (1, 3):
        return None
    variables, compute = (scored_variables(state), gather.compiled(_example_and_mean, built.model))
    images = gather.gather(compute, variables, batches, jax.random.key(0), count)
    rows = [np.concatenate(list(images[name]), axis=1) for name in ("example", "mean")]
    return np.clip(np.concatenate(rows), 0, 1)


def _example_and_mean(model, variables, batch, key):
    """Return examples and the means of p(x | latent) for a batch, one draw of the latent each."""
    return {"example": batch["x"], "mean": model.apply(variables, batch, rngs={"latent": key}).likelihood.mean[0]}
