"""What happens beside training every so many steps: a hook is (every, fn(step, state, metrics))."""

import math
import signal
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import jax

from ae_jax import rundir


class Progress:
    """A line with the loss and its terms, steps/s, examples/s and the time left; timings.jsonl beside it."""

    def __init__(self, run: rundir.RunDir, start: int, steps: int, batch_size: int, file=None):
        self._run, self._steps, self._batch_size, self._file = run, steps, batch_size, file or sys.stdout
        self._first, self._then, self._printed = (start, time.perf_counter()), (start, time.perf_counter()), -math.inf

    def __call__(self, step: int, state: Any, metrics: Mapping[str, float]) -> None:
        now = time.perf_counter()
        (last_step, last), self._then = self._then, (step, now)
        rate = (step - last_step) / max(now - last, 1e-9)
        timing = {"step": step, "seconds": round(now - self._first[1], 3), "steps_per_second": round(rate, 2)}
        timing["examples_per_second"] = round(rate * self._batch_size, 1)
        memory = (jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use")
        rundir.append_line(self._run.timings, {**timing, **({"device_peak_bytes": memory} if memory else {})})
        # The first dispatch holds the compilation: the rate over the whole run starts after it.
        if self._first[0] == last_step:
            self._first = (step, now)
        elif step > self._first[0]:
            rate = (step - self._first[0]) / (now - self._first[1])
        if now - self._printed >= 1 or step >= self._steps:
            self._printed = now
            self._print(step, metrics, rate)

    def _print(self, step, metrics, rate):
        left = time.strftime("%H:%M:%S", time.gmtime((self._steps - step) / max(rate, 1e-9)))
        terms = "  ".join(f"{k} {v:.4g}" for k, v in sorted(metrics.items(), key=lambda item: item[0] != "loss"))
        examples = f"{rate * self._batch_size:,.0f} examples/s"
        print(
            f"step {step}/{self._steps}  {terms}  {rate:,.1f} steps/s  {examples}  {left} left",
            file=self._file,
            flush=True,
        )


def write_metrics(run: rundir.RunDir) -> Callable:
    """Appends the training metrics to metrics.jsonl."""
    return lambda step, state, metrics: record(run, step, "train", metrics)


def record(run: rundir.RunDir, step: int, split: str, metrics: Mapping[str, float]) -> None:
    """One line of metrics.jsonl. Values that are not finite have no place in JSON and are left out."""
    finite = {name: value for name, value in metrics.items() if math.isfinite(value)}
    rundir.append_line(run.metrics, {"step": step, "split": split, **finite})


class TensorBoard:
    """Scalars at every call; images where `images(state)` answers {name: [H, W, C] in [0, 1]}."""

    def __init__(self, run: rundir.RunDir, start: int):
        from tensorboardX import SummaryWriter

        self._writer = SummaryWriter(str(run.tensorboard), purge_step=start + 1, flush_secs=10)

    def scalars(self, split: str, step: int, metrics: Mapping[str, float]) -> None:
        for name, value in metrics.items():
            self._writer.add_scalar(f"{split}/{name}", value, step)

    def image(self, name: str, step: int, image: Any) -> None:
        self._writer.add_image(name, image, step, dataformats="HWC")

    def close(self) -> None:
        self._writer.close()


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
