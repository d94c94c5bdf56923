"""What happens beside training every so many steps: a hook is (every, fn(step, state, metrics))."""

import dataclasses
import math
import signal
import sys
import time
from collections.abc import Mapping
from typing import Any

import jax

from ae_jax.core import compat
from ae_jax.devices import processes
from ae_jax.experiments import rundir


@dataclasses.dataclass(frozen=True)
class Calendar:
    """At which of `steps` steps what is due, by the periods of a config's section `train`; 0 is never."""

    steps: int
    log_every: int
    eval_every: int
    checkpoint_every: int

    @classmethod
    def of(cls, section: Any, steps: int) -> "Calendar":
        return cls(steps, section.log_every, section.eval_every, section.checkpoint_every)

    @property
    def periods(self) -> list[int]:
        # Every period ends a window of metrics, whatever its purpose, so that a run resumed at any checkpoint has the
        # same windows.
        return sorted({self.log_every, self.eval_every, self.checkpoint_every} - {0})

    def evaluates(self, step: int) -> bool:
        return bool(self.eval_every) and self._due(step, self.eval_every)

    def saves(self, step: int) -> bool:
        return self._due(step, self.checkpoint_every)

    def _due(self, step, every):
        return bool(every) and step % every == 0 or step == self.steps


class Progress:
    """A line with the loss and its terms, steps/s, examples/s and the time left; timings.jsonl beside it.

    Its clock runs from `resume` to the next call: evaluating and saving between them do not count as training.
    """

    def __init__(self, run: rundir.RunDir, start: int, steps: int, batch_size: int):
        self._run, self._steps, self._batch_size = run, steps, batch_size
        self._trained_steps, self._trained_seconds, self._printed = 0, 0.0, -math.inf
        self.resume(start)

    def resume(self, step: int) -> None:
        self._from = (step, time.perf_counter())

    def __call__(self, step: int, metrics: Mapping[str, float]) -> None:
        now = time.perf_counter()
        steps, seconds = step - self._from[0], now - self._from[1]
        # The first dispatch holds the compilation: once there is another, it alone tells the rate.
        if self._printed > -math.inf:
            self._trained_steps, self._trained_seconds = self._trained_steps + steps, self._trained_seconds + seconds
        rate = self._trained_steps / self._trained_seconds if self._trained_steps else steps / seconds
        compiled = self._printed == -math.inf
        rundir.append_line(self._run.timings, timing(step, steps, seconds, self._batch_size, compiled))
        if now - self._printed >= 1 or step >= self._steps:
            self._printed = now
            self._print(step, metrics, rate)

    def _print(self, step, metrics, rate):
        left = clock((self._steps - step) / max(rate, 1e-9))
        terms = "  ".join(f"{k} {v:.4g}" for k, v in sorted(metrics.items(), key=lambda item: item[0] != "loss"))
        examples = f"{rate * self._batch_size:,.0f} examples/s"
        print(
            f"step {step}/{self._steps}  {terms}  {rate:,.1f} steps/s  {examples}  {left} left",
            flush=True,
        )


def timing(step: int, steps: int, seconds: float, batch_size: int, compiled: bool) -> dict[str, Any]:
    """A line of timings.jsonl: the last `steps` steps, up to number `step`, took `seconds`.

    compiled: whether they were the first of this process, whose seconds tell no rate as they hold the compilation.
    """
    line = {"step": step, "window_seconds": round(seconds, 4), "steps_per_second": round(steps / seconds, 2)}
    line["examples_per_second"] = round(steps / seconds * batch_size, 1)
    memory = (jax.local_devices()[0].memory_stats() or {}).get("peak_bytes_in_use")
    line |= {"device_peak_bytes": memory} if memory else {}
    return {**line, "with_compilation": True} if compiled else line


def clock(seconds: float) -> str:
    """Seconds as hours, minutes and seconds."""
    minutes, seconds = divmod(int(seconds), 60)
    return f"{minutes // 60:02}:{minutes % 60:02}:{seconds:02}"


def record(run: rundir.RunDir, step: int, split: str, metrics: Mapping[str, float]) -> None:
    """Appends to metrics.jsonl the line of these metrics."""
    rundir.append_line(run.metrics, line(step, split, metrics))


def line(step: int, split: str, metrics: Mapping[str, float]) -> dict[str, Any]:
    """A line of metrics.jsonl. Values that are not finite have no place in JSON and are left out."""
    return {"step": step, "split": split, **{name: value for name, value in metrics.items() if math.isfinite(value)}}


class TensorBoard:
    """Scalars and images, written by a thread; raises OSError once the disk takes no more."""

    def __init__(self, run: rundir.RunDir, start: int):
        from tensorboardX import SummaryWriter

        self._folder = run.tensorboard
        self._writer = SummaryWriter(
            str(run.tensorboard), purge_step=start + 1, flush_secs=10, write_to_disk=processes.leads()
        )

    def scalars(self, split: str, step: int, metrics: Mapping[str, float]) -> None:
        self._check_writes()
        for name, value in metrics.items():
            if math.isfinite(value):
                self._writer.add_scalar(f"{split}/{name}", value, step)

    def image(self, name: str, step: int, image: Any) -> None:
        self._check_writes()
        self._writer.add_image(name, image, step, dataformats="HWC")

    def close(self) -> None:
        if self._thread is None or self._thread.is_alive():
            self._writer.close()
        else:
            compat.abandon_tensorboard(self._writer)

    @property
    def _thread(self):
        return compat.tensorboard_thread(self._writer)

    def _check_writes(self):
        # A full disk ends the thread, for which whoever gave it more would wait for ever.
        if self._thread is not None and not self._thread.is_alive():
            raise OSError(f"nothing can be written in {self._folder}")


class Profile:
    """A trace of the second window of steps, as the first compiles, or of the only one, for the profiler of JAX."""

    def __init__(self, run: rundir.RunDir, only_one: bool):
        self._path, self._next = str(run.profile), self._start
        if only_one:
            self._start()

    def __call__(self) -> None:
        """Called at the end of every window."""
        self._next()

    def _start(self):
        jax.profiler.start_trace(self._path)
        self._next = self._end

    def _end(self):
        jax.profiler.stop_trace()
        self._next = lambda: None

    def close(self) -> None:
        if self._next == self._end:
            self._end()


def profiled(run: rundir.RunDir) -> Any:
    """Within it, all that the devices do is traced for the profiler of JAX."""
    return jax.profiler.trace(str(run.profile))


class Stop:
    """Turns the first Ctrl-C or SIGTERM into an orderly end at the next hook; a second one ends at once."""

    def __init__(self):
        self.requested = False
        self._previous = {number: signal.signal(number, self._handle) for number in (signal.SIGINT, signal.SIGTERM)}

    def _handle(self, number, frame):
        self.requested = True
        print("stopping at the next checkpoint; once more to stop at once", file=sys.stderr, flush=True)
        self.restore()

    def restore(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
