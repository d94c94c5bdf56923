"""Training all runs of a compiled group together.

Training goes in windows of steps, which all runs take before any of them goes on.

While they train, the runs share the directory `programs/NAME` of the sweep. It holds one checkpoint of all stacked
states, with a note on each run, and the metrics of all runs. When the runs end or are stopped, each of them leaves the
run directory that `ae_jax.experiments.runner` would have made: the same checkpoints and metrics, and the scalars of
TensorBoard without its images.
"""

import dataclasses
import functools
import os
import pathlib
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax

from ae_jax.core.errors import UserError, first_line
from ae_jax.data.batching import describe_range
from ae_jax.experiments import analysis, configuration, eval_data, experiment, hooks, rundir, runner, versions
from ae_jax.sweeps import compiled, directory, fleet, results
from ae_jax.sweeps.history import History
from ae_jax.sweeps.members import Member
from ae_jax.sweeps.task import Task
from ae_jax.training import loop
from ae_jax.training.checkpoints import Checkpoints
from ae_jax.training.checkpoints import write as write_checkpoint
from ae_jax.training.policy import Policy
from ae_jax.training.step import make_hparams


def train_task(
    task: Task,
    stopping: Callable[[], bool] = lambda: False,
    say: Callable[..., None] = print,
    machines: compiled.Machines | None = None,
) -> bool:
    """Train the runs of a task to their ends, and write their directories.

    Runs that were stopped go on from their last checkpoint.

    Args:
      task: the task.
      stopping: called after every window; returns whether to stop there.
      say: prints a line; takes the arguments of `print`.
      machines: what is compiled already for the groups of this process; None compiles for this task alone.

    Returns:
      Whether the runs came to their ends.
    """
    training = _Training(task, say, machines or compiled.Machines())
    try:
        training.resume()
        while not training.ended and not stopping():
            training.window()
        training.write_runs()
    finally:
        training.close()
    if training.ended:
        directory.end_group(training.folder)
    return training.ended


class _Stacked(Checkpoints):
    """Stacked checkpoints of all runs: the newest one, and those that any of the runs keeps."""

    def __init__(self, folder, members, warn):
        super().__init__(folder, warn=warn)
        self._members = members

    def kept(self, scores):
        """Return the steps of the checkpoints to keep."""
        kept = set(list(scores)[-1:])
        for member in self._members:
            kept |= member.kept.keys()
        return kept


class _Training:
    """The training of a compiled group, from its newest checkpoint on.

    Runs are known by their numbers, the places of their states on the axis of runs.
    """

    def __init__(self, task, say, machines):
        self._task, self._say, self._compiling = task, say, versions.CompileClock()
        self._sweep = directory.SweepDir(pathlib.Path(task.folder))
        self._members = []
        for name, plain in task.runs.items():
            config = configuration.from_plain(plain)
            self._members.append(Member(name, config, make_hparams(**experiment.numbers(config))))
        self._machine = machines.of(self._members[0].config, self._sweep.format, task.trust)
        self._built, self.folder = self._machine.built, self._sweep.programs / task.name
        config, self._steps = self._built.config, self._built.steps
        self._calendar = hooks.Calendar.of(config.train, self._steps)
        self._split = runner.held_out_split(config)
        self._policy = Policy(config.train.keep, **analysis.criterion(config))
        warn = functools.partial(say, file=sys.stderr)
        # In the group's directory, files have the names that they have in a run directory.
        self._checkpoints = _Stacked(rundir.RunDir(self.folder).checkpoints, self._members, warn)
        self._data, self._begun, self._printed = {}, False, time.perf_counter()

    @property
    def ended(self) -> bool:
        """Return whether no run has a step left to train."""
        return self._step == self._steps or not self._going

    @property
    def _going(self) -> list[int]:
        """Return the numbers of the runs that have neither failed nor been pruned."""
        return [i for i, member in enumerate(self._members) if not member.status]

    def resume(self) -> None:
        """Restore the newest checkpoint, or make the first states."""
        self._way = self._task.way
        if self._way == "auto":
            # A group that was stopped goes on in its old way, so that it ends with the same bytes.
            begun = directory.way_of(self.folder)
            self._way = begun or self._machine.estimate(len(self._members)).way
        directory.begin_group(self.folder, list(self._task.runs), self._way)
        stacked = self._checkpoints.restore(self._machine.state_shapes(len(self._members)))
        if stacked is None:
            self._step = 0
            states = [self._machine.first_state(member.config, member.hparams) for member in self._members]
        else:
            states = [fleet.at(stacked, i) for i in range(len(self._members))]
            # A run that failed is behind the others.
            self._step = max(int(state.step) for state in states)
            for member, note in zip(self._members, self._checkpoints.notes(self._step), strict=True):
                member.take(note)
            self._say(f"going on from step {self._step} of {self._steps}")
        self._history = History(self.folder, len(self._members), self._step)
        self._together = self._machine.together(self._way, states, [member.hparams for member in self._members])

    # --- a window of steps --------------------------------------------------------------------------------------------

    def window(self) -> None:
        """Train up to the next step at which anything is due; there log, evaluate, judge and save."""
        start, self._step = self._step, loop.next_stop(self._step, self._steps, self._calendar.periods)
        windows = self._together.advance(self._step, self._going)
        losses, timings = self._log(start, windows)
        alive = self._going
        scores = {}
        if self._calendar.evaluates(self._step):
            scores = {i: self._evaluate(i) for i in alive}
        self._judge(scores)
        # Metrics are on disk before the checkpoint: resuming drops later lines, and never misses one.
        self._history.append(self._step, alive, timings)
        self._keep(alive, scores)
        spent = sum(window.seconds for _, window in windows)
        self._progress(losses, (self._step - start) / spent)

    def _log(self, start: int, windows: Sequence[tuple[int, fleet.Window]]) -> tuple[list[float], list[dict[str, Any]]]:
        """Add the metrics of a window to the history, and mark the runs that failed in it.

        Args:
          start: the step before the window.
          windows: (number of a run, what it did).

        Returns:
          (losses of the runs that go on, lines of timings.jsonl with the numbers of their runs).
        """
        compiling, self._begun = not self._begun, True
        losses, timings = [], []
        for i, window in windows:
            member = self._members[i]
            member.seconds += window.seconds
            if window.bad_steps >= member.config.train.max_bad_steps:
                error, built = loop.NonFiniteError(window.step, window.totals, window.bad_steps), self._machine.built
                self._fail(member, f"{error}; {describe_range(built.splits['train']['x'], built.spec)}")
                continue
            metrics = loop.means(window.totals)
            losses.append(metrics["loss"])
            self._history.lines[i].append(hooks.line(self._step, "train", metrics))
            batch_size = member.config.train.batch_size
            timing = hooks.timing(self._step, self._step - start, window.seconds, batch_size, compiling)
            timings.append({"run": i, **timing})
        return losses, timings

    def _fail(self, member: Member, reason: str) -> None:
        member.status, member.reason = "failed", reason
        self._say(f"failed: {member.name}: {reason}", file=sys.stderr)

    def _evaluate(self, i: int) -> dict[str, float]:
        """Evaluate a run, add its scores to the history, and return them; mark it if that fails."""
        member, lines = self._members[i], self._history.lines[i]
        data = self._data_for(member)
        try:
            scores = runner.score(self._built, self._together.state(i), lines, data)
        except UserError:
            raise
        except (ValueError, ArithmeticError) as error:  # raised by libraries for latents that are not finite
            kind, said = type(error).__name__, first_line(error)
            self._fail(member, f"evaluating it at step {self._step} ended in {kind}: {said}")
            return {}
        lines.append(hooks.line(self._step, self._split, scores))
        return scores

    def _data_for(self, member: Member) -> Any:
        """Return the evaluation data of a run, which are corrupted by the numbers of its own config."""
        # Runs that agree in these numbers share the batches.
        corruption = str(jax.tree.map(str, member.hparams["corruption"]))
        if corruption not in self._data:
            built = dataclasses.replace(self._built, hparams=member.hparams, opened=self._built.splits)
            self._data[corruption] = eval_data.data_of(built, self._split)
        return self._data[corruption]

    def _judge(self, scores: Mapping[int, Mapping[str, float]]) -> None:
        """Prune the runs that the task's judge names."""
        if not scores or self._task.judge is None or self._step == self._steps:
            return
        ended = self._task.judge(self._step, {self._members[i].name: found for i, found in scores.items()})
        for member in self._members:
            if member.name in ended:
                member.status, member.reason = "pruned", ended[member.name]
                self._say(f"pruned: {member.name}: {member.reason}")

    def _keep(self, alive: Sequence[int], scores: Mapping[int, Mapping[str, float]]) -> None:
        """Decide which runs keep a checkpoint of this step, and save all runs if any does."""
        due = self._calendar.saves(self._step)
        for i in alive:
            member, fresh = self._members[i], scores.get(i, {})
            # A run that ends here keeps its last state, as the runner does.
            if due or member.status or self._policy.is_best(fresh, member.kept):
                member.kept = self._policy.kept({**member.kept, self._step: self._policy.score(fresh)})
        if any(self._step in member.kept for member in self._members):
            self._save()

    def _save(self) -> None:
        self._checkpoints.save(self._together.stacked(), notes=[member.note() for member in self._members])

    def _progress(self, losses: Sequence[float], rate: float) -> None:
        """Print a line of progress, at most once a second.

        Args:
          losses: the losses of the runs that go on.
          rate: how many steps all runs take together in a second.
        """
        recent = time.perf_counter() - self._printed < 1
        if not losses or (recent and not self.ended):
            return
        self._printed = time.perf_counter()
        left = hooks.clock((self._steps - self._step) / rate)
        span = " to ".join(f"{loss:.4g}" for loss in dict.fromkeys((min(losses), max(losses))))
        counted = f"{len(losses)} run{'' if len(losses) == 1 else 's'}"
        self._say(
            f"step {self._step}/{self._steps}  {counted}  loss {span}  {rate * len(losses):,.0f} steps/s  {left} left"
        )

    # --- run directories ----------------------------------------------------------------------------------------------

    def write_runs(self) -> None:
        """Write the directories of all runs, and save the group if it has not come to its end."""
        if not self.ended:
            self._save()
        self._checkpoints.close()
        seconds = round(self._compiling.seconds, 2)
        timings = self._history.timings()
        self._say(f"writing the run directories in {self._sweep.path}")
        # Runs that ended before the group was stopped may have their results already.
        left = {i: member for i, member in enumerate(self._members) if not self._sweep.ended(member.name)}
        for i, member in left.items():
            run, built = self._sweep.run(member.name), self._built
            member.leave(run, built.spec, built.format, self._history.lines[i], timings[i], seconds)
        self._write_checkpoints(left)
        # A result says that the rest of its directory is on disk, even if the power fails.
        os.sync()
        for i, member in left.items():
            result = results.outcome(self._history.lines[i], self._split, analysis.directions(member.config))
            result["final"] = runner.headline(result["final"])
            result |= {**member.end(self._step, self._steps, self.ended), "way": self._way}
            rundir.write_json(self._sweep.run(member.name).result, result, flush=False)
        # The results must be on disk before the group's directory, from which they could be made again, is removed.
        os.sync()

    def _write_checkpoints(self, left: Mapping[int, Member]) -> None:
        """Write the checkpoints that each of these runs, {number: run}, keeps."""
        kept = {}
        for i, member in left.items():
            kept[i] = dict(member.kept)
            if not self.ended and not member.status:
                # A run that was stopped can also be resumed alone, from where it stands.
                kept[i].setdefault(self._step, None)
        like = self._machine.state_shapes(len(self._members))
        # One stacked checkpoint after the other, so that only one is in memory.
        for step in self._checkpoints.steps():
            wanted = [i for i, scores in kept.items() if step in scores]
            if wanted:
                states = fleet.on_host(self._checkpoints.restore(like, step))
                for i in wanted:
                    folder = self._sweep.run(left[i].name).checkpoints
                    write_checkpoint(folder, fleet.at(states, i), kept[i][step])

    def close(self) -> None:
        """Close the checkpoints, whether or not the training came to its end."""
        self._checkpoints.close()
