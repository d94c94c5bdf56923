"""Training all runs of a program together: in windows of steps that all take before any takes the next.

While they train they share one directory, `programs/NAME` of the sweep: one stacked checkpoint, whose note says how far
each run is, and the lines of their metrics. When they end or are stopped, each leaves the run directory that
`ae_jax.experiments.runner` would have made of it: the same checkpoints and metrics, TensorBoard's scalars without
its images.
"""

import collections
import dataclasses
import functools
import os
import pathlib
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import jax

from ae_jax.core.errors import UserError, first_line
from ae_jax.experiments import analysis, configuration, experiment, hooks, rundir, runner
from ae_jax.sweeps import compiled, directory, fleet
from ae_jax.sweeps.members import Member
from ae_jax.training import loop
from ae_jax.training.checkpoints import Checkpoints
from ae_jax.training.checkpoints import write as write_checkpoint
from ae_jax.training.policy import Policy
from ae_jax.training.step import make_hparams

# (step, {name of a run: its scores}) -> {name: reason} of the runs that end early
Judge = Callable[[int, Mapping[str, Mapping[str, float]]], Mapping[str, str]]


@dataclasses.dataclass(frozen=True)
class Task:
    """A program to train, told in values that can be sent to another process or machine."""

    folder: str  # the sweep's
    name: str  # of the program
    runs: dict[str, dict[str, Any]]  # {name: plain config}
    way: str  # one of `fleet.WAYS`, or "auto": the fastest, by measuring
    judge: Judge | None = None  # asked at each evaluation
    trust: tuple[str, ...] = ()  # as in `experiment.build`


class _Stacked(Checkpoints):
    """The newest checkpoint of all runs together, and those that any of them keeps."""

    def __init__(self, folder, members, warn):
        super().__init__(folder, warn=warn)
        self._members = members

    def kept(self, scores):
        return {*list(scores)[-1:], *(step for member in self._members for step in member.kept)}


def train_task(task: Task, stopping: Callable[[], bool] = lambda: False, say=print) -> bool:
    """Trains the runs of a task to their ends, from where they were stopped if they were, and writes their directories.

    stopping: asked after every window whether to stop there. Answers whether the runs came to their ends.
    """
    training = _Training(task, say)
    try:
        training.resume()
        while not training.ended and not stopping():
            training.window()
        training.write_runs()
    finally:
        training.close()
    if training.ended:
        directory.end_program(training.folder)
    return training.ended


class _Training:
    def __init__(self, task, say):
        self._task, self._say, self._compiling = task, say, runner.CompileClock()
        self._sweep = directory.SweepDir(pathlib.Path(task.folder))
        configs = {name: configuration.from_plain(plain) for name, plain in task.runs.items()}
        self._machine = compiled.of(next(iter(configs.values())), self._sweep.format, task.trust)
        hparams = lambda config: make_hparams(**experiment.numbers(config))
        self._members = [Member(name, config, hparams(config)) for name, config in configs.items()]
        self._built, self.folder = self._machine.built, self._sweep.programs / task.name
        self._steps = self._built.steps
        self._calendar = hooks.Calendar.of(self._built.config.train, self._steps)
        self._split = runner.held_out_split(self._built.config)
        self._policy = Policy(self._built.config.train.keep, **analysis.criterion(self._built.config))
        together = rundir.RunDir(self.folder)  # under the names that each run has for its own
        self._log, self._timings = together.metrics, together.timings
        warn = functools.partial(say, file=sys.stderr)
        self._checkpoints = _Stacked(together.checkpoints, self._members, warn)
        self._data, self._begun, self._printed = {}, False, time.perf_counter()

    @property
    def ended(self) -> bool:
        return self._step == self._steps or not self._going

    @property
    def _going(self):
        return [i for i, member in enumerate(self._members) if not member.status]

    def resume(self) -> None:
        """Takes up the newest checkpoint, or makes the first states."""
        self._way = self._task.way
        if self._way == "auto":
            begun = directory.way_of(self.folder)
            self._way = begun or self._machine.estimate(len(self._members)).way
        directory.begin_program(self.folder, list(self._task.runs), self._way)
        stacked, self._step = self._checkpoints.restore(self._machine.state_shapes(len(self._members))), 0
        if stacked is None:
            states = [self._machine.first_state(member.config, member.hparams) for member in self._members]
        else:
            states = [fleet.at(stacked, i) for i in range(len(self._members))]
            self._step = max(int(state.step) for state in states)
            for member, note in zip(self._members, self._checkpoints.notes(self._step), strict=True):
                member.take(note)
            self._say(f"going on from step {self._step} of {self._steps}")
        for path in (self._log, self._timings):
            rundir.truncate_lines(path, self._step)
        lines = rundir.read_lines(self._log)
        self._lines = {i: [_without_run(line) for line in lines if line["run"] == i] for i in range(len(states))}
        self._together = self._machine.together(self._way, states, [member.hparams for member in self._members])

    def window(self) -> None:
        """Trains, logs, evaluates and saves up to the next step number at which any of these is due."""
        start, self._step = self._step, loop.next_stop(self._step, self._steps, self._calendar.periods)
        compiling, self._begun = not self._begun, True
        timings, losses, spent = [], [], 0.0
        for i, window in self._together.advance(self._step, self._going):
            member = self._members[i]
            member.seconds += window.seconds
            spent += window.seconds
            if window.bad_steps >= member.config.train.max_bad_steps:
                self._fail(member, str(loop.NonFiniteError(window.step, window.totals, window.bad_steps)))
                continue
            metrics = loop.means(window.totals)
            losses.append(metrics["loss"])
            self._lines[i].append(hooks.line(self._step, "train", metrics))
            batch_size = member.config.train.batch_size
            timing = hooks.timing(self._step, self._step - start, window.seconds, batch_size, compiling)
            timings.append({"run": i, **timing})
        alive = self._going
        scores = {i: self._evaluate(i) for i in alive} if self._calendar.evaluates(self._step) else {}
        self._judge(scores)
        fresh = {i: [line for line in self._lines[i] if line["step"] == self._step] for i in alive}
        rundir.append_line(self._log, *({"run": i, **line} for i, lines in fresh.items() for line in lines))
        rundir.append_line(self._timings, *timings)
        self._keep(alive, scores)
        self._progress(losses, (self._step - start) / spent)

    def _fail(self, member, reason):
        member.status, member.reason = "failed", reason
        self._say(f"failed: {member.name}: {reason}", file=sys.stderr)

    def _evaluate(self, i):
        member = self._members[i]
        # Evaluation data are corrupted as the run's own numbers say: runs that agree in them share the batches.
        corruption = str(jax.tree.map(str, member.hparams["corruption"]))
        if corruption not in self._data:
            built = dataclasses.replace(self._built, hparams=member.hparams)
            vars(built)["splits"] = self._built.splits
            self._data[corruption] = analysis.data_of(built, self._split)
        try:
            scores = runner.score(self._built, self._together.state(i), self._lines[i], self._data[corruption])
        except UserError:
            raise
        except (ValueError, ArithmeticError) as error:  # of a library that was given codes that are not finite
            kind, said = type(error).__name__, first_line(error)
            self._fail(member, f"evaluating it at step {self._step} ended in {kind}: {said}")
            return {}
        self._lines[i].append(hooks.line(self._step, self._split, scores))
        return scores

    def _judge(self, scores):
        """Ends the runs of which the task's judge says so."""
        if not scores or self._task.judge is None or self._step == self._steps:
            return
        ended = self._task.judge(self._step, {self._members[i].name: found for i, found in scores.items()})
        for member in self._members:
            if member.name in ended:
                member.status, member.reason = "pruned", ended[member.name]
                self._say(f"pruned: {member.name}: {member.reason}")

    def _keep(self, alive, scores):
        due = self._calendar.saves(self._step)
        for i in alive:
            member, fresh = self._members[i], scores.get(i, {})
            if due or member.status or self._policy.is_best(fresh, member.kept):
                member.kept = self._policy.kept({**member.kept, self._step: self._policy.score(fresh)})
        if any(self._step in member.kept for member in self._members):
            self._save()

    def _save(self):
        self._checkpoints.save(self._together.stacked(), notes=[member.note() for member in self._members])

    def _progress(self, losses, rate):
        """rate: steps a second that all runs take together."""
        if not losses or (time.perf_counter() - self._printed < 1 and not self.ended):
            return
        self._printed = time.perf_counter()
        left = hooks.clock((self._steps - self._step) / rate)
        span = " to ".join(f"{loss:.4g}" for loss in dict.fromkeys((min(losses), max(losses))))
        counted = f"{len(losses)} run{'' if len(losses) == 1 else 's'}"
        self._say(
            f"step {self._step}/{self._steps}  {counted}  loss {span}  {rate * len(losses):,.0f} steps/s  {left} left"
        )

    def write_runs(self) -> None:
        """Writes the directories of all runs, and saves where they stand if they have not ended."""
        if not self.ended:
            self._save()
        self._checkpoints.close()
        seconds = round(self._compiling.seconds, 2)
        timings = collections.defaultdict(list)
        for line in rundir.read_lines(self._timings):
            timings[line["run"]].append(_without_run(line))
        self._say(f"writing the run directories in {self._sweep.path}")
        left = {i: member for i, member in enumerate(self._members) if not self._sweep.ended(member.name)}
        for i, member in left.items():
            run, built = self._sweep.run(member.name), self._built
            member.leave(run, built.spec, built.format, self._lines[i], timings[i], seconds)
        self._write_checkpoints(left)
        os.sync()  # a result says that all the rest is there: on disk, should the power fail
        for i, member in left.items():
            found = directory.outcome(self._lines[i], self._split, analysis.directions(member.config))
            found["final"] = runner.headline(found["final"])
            end = member.end(self._step, self._steps, self.ended)
            rundir.write_json(self._sweep.run(member.name).result, {**found, **end, "way": self._way}, flush=False)
        os.sync()  # before what the runs are made of is removed

    def _write_checkpoints(self, left):
        """Those that each run keeps; of the stacked ones, one at a time is in memory."""
        unfinished = {} if self.ended else {self._step: None}
        kept = {i: {**({} if member.status else unfinished), **member.kept} for i, member in left.items()}
        like = self._machine.state_shapes(len(self._members))
        for step in self._checkpoints.steps():
            if wanted := [i for i, steps in kept.items() if step in steps]:
                states = fleet.on_host(self._checkpoints.restore(like, step))
                for i in wanted:
                    folder = self._sweep.run(left[i].name).checkpoints
                    write_checkpoint(folder, fleet.at(states, i), kept[i][step])

    def close(self) -> None:
        self._checkpoints.close()


def _without_run(line):
    return {key: value for key, value in line.items() if key != "run"}
