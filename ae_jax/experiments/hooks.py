"""Hooks of a training run: calendar, progress, metrics, TensorBoard, profiles and stops."""

import dataclasses
import math
import signal
import sys
import threading
import time
from collections.abc import Mapping
from typing import Any

import jax

from ae_jax.core import compat
from ae_jax.devices import processes
from ae_jax.experiments import rundir


@dataclasses.dataclass(frozen=True)
class Calendar:
    """The steps at which metrics are logged, the model is evaluated, and a checkpoint is saved.

    Args:
      steps: the number of the last step.
      log_every: the period of logging, in steps. A period of 0 means never.
      eval_every: the period of evaluation, in steps.
      checkpoint_every: the period of checkpoints, in steps.
    """

    steps: int
    log_every: int
    eval_every: int
    checkpoint_every: int

    @classmethod
    def of(cls, section: Any, steps: int) -> "Calendar":
        """Make the calendar of a config's section `train`."""
        return cls(steps, section.log_every, section.eval_every, section.checkpoint_every)

    @property
    def periods(self) -> list[int]:
        """Return the periods at which training pauses, in steps."""
        # Every period ends a window of metrics, whatever its purpose, so that a run resumed at any checkpoint has the
        # same windows.
        return sorted({self.log_every, self.eval_every, self.checkpoint_every} - {0})

    def evaluates(self, step: int) -> bool:
        """Return whether the model is evaluated at this step."""
        return bool(self.eval_every) and self._due(step, self.eval_every)

    def saves(self, step: int) -> bool:
        """Return whether a checkpoint is due at this step."""
        return self._due(step, self.checkpoint_every)

    def _due(self, step, every):
        """Return whether a period ends at this step. The last step ends all of them."""
        return bool(every) and step % every == 0 or step == self.steps


class Progress:
    """A run's progress: printed lines with the loss, rates and time left, and timings.jsonl.

    The clock runs from `resume` to the next call, so that evaluating and saving do not count as training.
    """

    def __init__(self, run: rundir.RunDir, start: int, steps: int, batch_size: int):
        """Start the clock.

        Args:
          run: the run's directory.
          start: the step at which training begins.
          steps: the number of the last step.
          batch_size: examples per step.
        """
        self._run, self._steps, self._batch_size = run, steps, batch_size
        self._trained_steps, self._trained_seconds, self._printed = 0, 0.0, -math.inf
        self.resume(start)

    def resume(self, step: int) -> None:
        """Start the clock again, at this step."""
        self._from = (step, time.perf_counter())

    def __call__(self, step: int, metrics: Mapping[str, float]) -> None:
        """Write the timing of the window that ends at this step; print it at most once a second.

        Args:
          step: the last step of the window.
          metrics: {name: mean over the window}.
        """
        now = time.perf_counter()
        steps, seconds = step - self._from[0], now - self._from[1]
        compiled = self._printed == -math.inf
        # The first window includes compilation, so the rate comes from the later ones once there are any.
        if not compiled:
            self._trained_steps += steps
            self._trained_seconds += seconds
        rate = self._trained_steps / self._trained_seconds if self._trained_steps else steps / seconds
        rundir.append_line(self._run.timings, timing(step, steps, seconds, self._batch_size, compiled))
        if now - self._printed >= 1 or step >= self._steps:
            self._printed = now
            self._print(step, metrics, rate)

    def _print(self, step, metrics, rate):
        """Print a progress line; `rate` is in steps per second."""
        left = clock((self._steps - step) / max(rate, 1e-9))
        loss_first = sorted(metrics, key=lambda name: name != "loss")
        terms = "  ".join(f"{name} {metrics[name]:.4g}" for name in loss_first)
        examples = f"{rate * self._batch_size:,.0f} examples/s"
        print(f"step {step}/{self._steps}  {terms}  {rate:,.1f} steps/s  {examples}  {left} left", flush=True)


def timing(step: int, steps: int, seconds: float, batch_size: int, compiled: bool) -> dict[str, Any]:
    """Return a line of timings.jsonl.

    Args:
      step: the last step of the window.
      steps: the number of steps in the window.
      seconds: the time that they took.
      batch_size: examples per step.
      compiled: whether the seconds include compilation, as in the first window of a process.
    """
    line = {"step": step, "window_seconds": round(seconds, 4), "steps_per_second": round(steps / seconds, 2)}
    line["examples_per_second"] = round(steps / seconds * batch_size, 1)
    # CPUs have no memory statistics.
    statistics = jax.local_devices()[0].memory_stats() or {}
    if memory := statistics.get("peak_bytes_in_use"):
        line["device_peak_bytes"] = memory
    if compiled:
        line["with_compilation"] = True
    return line


def clock(seconds: float) -> str:
    """Return a number of seconds as HH:MM:SS."""
    minutes, seconds = divmod(int(seconds), 60)
    return f"{minutes // 60:02}:{minutes % 60:02}:{seconds:02}"


def record(run: rundir.RunDir, step: int, split: str, metrics: Mapping[str, float]) -> None:
    """Append metrics to metrics.jsonl.

    Args:
      run: the run's directory.
      step: the step at which they were measured.
      split: "train", or the split that was evaluated.
      metrics: {name: value}.
    """
    rundir.append_line(run.metrics, line(step, split, metrics))


def line(step: int, split: str, metrics: Mapping[str, float]) -> dict[str, Any]:
    """Return a line of metrics.jsonl, without values that are not finite, because JSON has none.

    Args: as for `record`.
    """
    finite = {name: value for name, value in metrics.items() if math.isfinite(value)}
    return {"step": step, "split": split, **finite}


class TensorBoard:
    """Scalars and images for TensorBoard, written by a thread.

    Its methods raise OSError once the disk is full.
    """

    def __init__(self, run: rundir.RunDir, start: int):
        """Open the log of a run.

        Args:
          run: the run's directory.
          start: the step from which the run is resumed. TensorBoard hides later points of an earlier process.
        """
        from tensorboardX import SummaryWriter

        self._folder = run.tensorboard
        # The other processes make the same calls, and their writers drop everything.
        self._writer = SummaryWriter(
            str(run.tensorboard), purge_step=start + 1, flush_secs=10, write_to_disk=processes.leads()
        )

    def scalars(self, split: str, step: int, metrics: Mapping[str, float]) -> None:
        """Write the metrics of a split at a step, those that are finite."""
        self._check_writes()
        for name, value in metrics.items():
            if math.isfinite(value):
                self._writer.add_scalar(f"{split}/{name}", value, step)

    def image(self, name: str, step: int, image: Any) -> None:
        """Write an image [H, W, C] with values in [0, 1]."""
        self._check_writes()
        self._writer.add_image(name, image, step, dataformats="HWC")

    def close(self) -> None:
        """Wait until everything is written, unless the thread has died."""
        # Closing waits for the thread to empty its queue, which a dead thread never does.
        if self._thread is None or self._thread.is_alive():
            self._writer.close()
        else:
            compat.abandon_tensorboard(self._writer)

    @property
    def _thread(self):
        """Return the thread that writes, or None in a process that writes nothing."""
        return compat.tensorboard_thread(self._writer)

    def _check_writes(self):
        """Raise OSError where the thread has died."""
        # A full disk ends the thread. A process that then gave it more to write would wait for ever.
        if self._thread is not None and not self._thread.is_alive():
            raise OSError(f"nothing can be written in {self._folder}")


class Profile:
    """A trace for JAX's profiler of one window of steps.

    It is the second window, because the first includes compilation; or the only one.
    """

    def __init__(self, run: rundir.RunDir, only_one: bool):
        """Begin the trace at once if there will be only one window."""
        self._path, self._next = str(run.profile), self._start
        if only_one:
            self._start()

    def __call__(self) -> None:
        """Begin or end the trace, at the end of a window."""
        self._next()

    def _start(self):
        jax.profiler.start_trace(self._path)
        self._next = self._end

    def _end(self):
        jax.profiler.stop_trace()
        self._next = lambda: None

    def close(self) -> None:
        """End the trace if training ended within it."""
        if self._next == self._end:
            self._end()


def profiled(run: rundir.RunDir) -> Any:
    """Return a context that traces all devices for JAX's profiler, into profile/ of a run."""
    return jax.profiler.trace(str(run.profile))


class Stop:
    """A switch that the first Ctrl-C or SIGTERM sets, so that the run saves and ends.

    A second signal ends the process at once.
    """

    def __init__(self) -> None:
        """Install the signal handlers."""
        self.requested = False
        self._previous: dict[int, Any] = {}
        # Python lets only the main thread handle signals; a training in another one ends with its process.
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._handle)

    def _handle(self, number, frame):
        """Request the stop, and let the next signal take its usual effect."""
        self.requested = True
        print("stopping at the next checkpoint; once more to stop at once", file=sys.stderr, flush=True)
        self.restore()

    def restore(self) -> None:
        """Put the earlier signal handlers back."""
        for number, handler in self._previous.items():
            signal.signal(number, handler)
