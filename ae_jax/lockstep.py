"""Training all runs of a program together: in windows of steps that all take before any takes the next.

While they train they share one directory, `programs/NAME` of the sweep: one stacked checkpoint, whose note says how far
each run is, and the lines of their metrics. When they end or are stopped, each leaves the run directory that
`ae_jax.runner` would have made of it: the same checkpoints and metrics, TensorBoard's scalars without its images.
"""

import collections
import contextlib
import dataclasses
import functools
import pathlib
import shutil
import sys
import time
from collections.abc import Callable
from typing import Any

import jax

from ae_jax import analysis, configuration, experiment, hooks, machine, rundir, runner, sweepdir, train
from ae_jax.checkpoints import Checkpoints, Policy


@dataclasses.dataclass(frozen=True)
class Task:
    """A program to train, told in plain values, so that another process or machine can be told."""

    folder: str  # the sweep's
    name: str  # of the program
    runs: dict[str, dict[str, Any]]  # {name: plain config}
    way: str  # "map" or "vmap"


@dataclasses.dataclass
class _Member:
    """One run among the others: what it is, and what must outlive a crash."""

    name: str
    config: Any
    hparams: Any
    seconds: float = 0.0
    reason: str = ""  # why it failed
    kept: dict[int, float | None] = dataclasses.field(default_factory=dict)  # checkpoints and their scores

    def note(self) -> dict[str, Any]:
        return {"seconds": self.seconds, "reason": self.reason, "kept": list(self.kept.items())}

    def take(self, note: dict[str, Any]) -> None:
        self.seconds, self.reason, self.kept = note["seconds"], note["reason"], {k: v for k, v in note["kept"]}


class _Stacked(Checkpoints):
    """The newest checkpoint of all runs together, and those that any of them keeps."""

    def __init__(self, directory, members, warn):
        super().__init__(directory, warn=warn)
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
        shutil.rmtree(training.folder)
        with contextlib.suppress(OSError):  # others are under way
            training.folder.parent.rmdir()
    return training.ended


class _Training:
    def __init__(self, task, say):
        self._task, self._say, self._compiling = task, say, runner.CompileClock()
        self._sweep = sweepdir.SweepDir(pathlib.Path(task.folder))
        configs = {name: configuration.from_plain(plain) for name, plain in task.runs.items()}
        self._machine = machine.of(next(iter(configs.values())))
        hparams = lambda config: train.make_hparams(**experiment.numbers(config))
        self._members = [_Member(name, config, hparams(config)) for name, config in configs.items()]
        self._built, self.folder = self._machine.built, self._sweep.programs / task.name
        self._steps = self._built.steps
        self._calendar = hooks.Calendar.of(self._built.config.train, self._steps)
        self._split = runner.held_out_split(self._built.config)
        self._policy = Policy(self._built.config.train.keep, **analysis.criterion(self._built.config))
        self._log, self._timings = self.folder / "metrics.jsonl", self.folder / "timings.jsonl"
        warn = functools.partial(say, file=sys.stderr)
        self._checkpoints = _Stacked(self.folder / "checkpoints", self._members, warn)
        self._data, self._printed = {}, time.perf_counter()

    @property
    def ended(self) -> bool:
        return self._step == self._steps or not self._going

    @property
    def _going(self):
        return [i for i, member in enumerate(self._members) if not member.reason]

    def resume(self) -> None:
        """Takes up the newest checkpoint, or makes the first states."""
        sweepdir.begin_program(self.folder, list(self._task.runs), self._task.way)
        stacked, self._step = self._checkpoints.restore(self._machine.state_shapes(len(self._members))), 0
        if stacked is None:
            states = [self._machine.first_state(member.config, member.hparams) for member in self._members]
        else:
            states = [machine.at(stacked, i) for i in range(len(self._members))]
            self._step = max(int(state.step) for state in states)
            for member, note in zip(self._members, self._checkpoints.notes(self._step), strict=True):
                member.take(note)
            self._say(f"going on from step {self._step} of {self._steps}")
        for path in (self._log, self._timings):
            rundir.truncate_lines(path, self._step)
        lines = rundir.read_lines(self._log)
        self._lines = {i: [_without_run(line) for line in lines if line["run"] == i] for i in range(len(states))}
        self._fleet = self._machine.fleet(self._task.way, states, [member.hparams for member in self._members])

    def window(self) -> None:
        """Trains, logs, evaluates and saves up to the next step number at which any of these is due."""
        start, self._step = self._step, train.next_stop(self._step, self._steps, self._calendar.periods)
        timings, losses, spent = [], [], 0.0
        for i, window in self._fleet.advance(self._step, self._going):
            member = self._members[i]
            member.seconds += window.seconds
            spent += window.seconds
            if window.bad_steps >= member.config.train.max_bad_steps:
                member.reason = str(train.NonFiniteError(window.step, window.totals, window.bad_steps))
                self._say(f"failed: {member.name}: {member.reason}", file=sys.stderr)
                continue
            metrics = train.means(window.totals)
            losses.append(metrics["loss"])
            self._lines[i].append(hooks.line(self._step, "train", metrics))
            batch_size = member.config.train.batch_size
            timings.append({"run": i, **hooks.timing(self._step, self._step - start, window.seconds, batch_size)})
        scores = {i: self._evaluate(i) for i in self._going} if self._calendar.evaluates(self._step) else {}
        fresh = {i: [line for line in self._lines[i] if line["step"] == self._step] for i in self._going}
        rundir.append_line(self._log, *({"run": i, **line} for i, lines in fresh.items() for line in lines))
        rundir.append_line(self._timings, *timings)
        self._keep(scores)
        self._progress(losses, (self._step - start) / spent)

    def _evaluate(self, i):
        member = self._members[i]
        # Evaluation data are corrupted as the run's own numbers say: runs that agree in them share the batches.
        corruption = str(jax.tree.map(str, member.hparams["corruption"]))
        if corruption not in self._data:
            built = dataclasses.replace(self._built, hparams=member.hparams)
            vars(built)["splits"] = self._built.splits
            self._data[corruption] = analysis.data_of(built, self._split)
        scores = runner.score(self._built, self._fleet.state(i), self._lines[i], self._data[corruption])
        self._lines[i].append(hooks.line(self._step, self._split, scores))
        return scores

    def _keep(self, scores):
        due = self._calendar.saves(self._step)
        for i in self._going:
            member, fresh = self._members[i], scores.get(i, {})
            if due or self._policy.is_best(fresh, member.kept):
                member.kept = self._policy.kept({**member.kept, self._step: self._policy.score(fresh)})
        if any(self._step in member.kept for member in self._members):
            self._save()

    def _save(self):
        self._checkpoints.save(self._fleet.stacked(), notes=[member.note() for member in self._members])

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
        there = self._checkpoints.steps()
        like = self._machine.state_shapes(len(self._members))
        read = functools.cache(lambda step: machine.on_host(self._checkpoints.restore(like, step)))
        seconds = round(self._compiling.seconds, 2)
        timings = collections.defaultdict(list)
        for line in rundir.read_lines(self._timings):
            timings[line["run"]].append(_without_run(line))
        self._say(f"writing the run directories in {self._sweep.path}")
        for i, member in enumerate(self._members):
            if self._sweep.ended(member.name):
                continue
            steps = dict(member.kept)
            if not self.ended and not member.reason:
                steps.setdefault(self._step, None)
            states = [(machine.at(read(step), i), score) for step, score in steps.items() if step in there]
            _write_run(self._sweep.run(member.name), member, self._built, self._lines[i], timings[i], states, seconds)
            status = "failed" if member.reason else "done" if self.ended else "stopped"
            reason = member.reason or ("" if self.ended else f"stopped at step {self._step} of {self._steps}")
            found = sweepdir.outcome(self._lines[i], self._split, analysis.directions(member.config))
            found["final"] = runner.headline(found["final"])
            found |= {"status": status, "reason": reason, "seconds": round(member.seconds, 3)}
            found["way"] = self._task.way
            rundir.write_json(self._sweep.run(member.name).result, found)

    def close(self) -> None:
        self._checkpoints.close()


def _without_run(line):
    return {key: value for key, value in line.items() if key != "run"}


def _write_run(run, member, built, lines, timings, states, compile_seconds):
    """The directory of one run: all that training leaves in it, and whatever else it holds already."""
    run.result.unlink(missing_ok=True)
    for folder in (run.checkpoints, run.tensorboard):
        shutil.rmtree(folder, ignore_errors=True)
    rundir.begin(str(run.path), member.config, built.spec)
    rundir.write_json(run.versions, {**rundir.versions(), "compile_seconds": compile_seconds})
    rundir.write_text(run.metrics, rundir.as_lines(lines))
    rundir.write_text(run.timings, rundir.as_lines(timings))
    board = hooks.TensorBoard(run, 0)
    for line in lines:
        values = {name: value for name, value in line.items() if name not in ("step", "split")}
        board.scalars(line["split"], line["step"], values)
    board.close()
    criterion = analysis.criterion(member.config)
    checkpoints = Checkpoints(run.checkpoints, member.config.train.keep, **criterion)
    for state, score in states:
        checkpoints.save(state, {} if score is None else {criterion["criterion"]: score})
    checkpoints.close()
