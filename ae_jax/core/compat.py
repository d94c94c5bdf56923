"""Private names of other libraries, and settings that silence them.

Each comes with the version of the library in which it was seen. No other module uses a private name of another
library, so that a new version of a library can break only this file.
"""

import contextlib
import functools
import logging
import pathlib
import sys
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import optuna
    import tensorboardX


@functools.cache
def silence_orbax() -> None:
    """Drop the log messages of Orbax 0.12.8.

    `ae_jax.training.checkpoints` reports damaged checkpoints and full disks itself.
    """
    from absl import logging as absl_logging

    absl_logging.get_absl_logger().addFilter(lambda record: "orbax" not in pathlib.Path(record.pathname).parts)


@functools.cache
def quieten_process() -> None:
    """Keep the notes and background tracebacks of libraries out of a command's output.

    Orbax 0.12.8 reads through asyncio. When one read fails, asyncio prints a traceback for each other read under way.
    """
    from absl import logging as absl_logging

    absl_logging.set_verbosity(absl_logging.ERROR)
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    print_other = sys.unraisablehook
    known = ("Event loop is closed", "Encountered error while reading array index")

    def hook(unraisable: "sys.UnraisableHookArgs") -> None:
        if not str(unraisable.exc_value).startswith(known):
            print_other(unraisable)

    sys.unraisablehook = hook


def jax_cluster(timeout_seconds: int) -> tuple[str, int, int] | None:
    """Ask Slurm or a TPU pod how the processes of this run meet.

    JAX 0.10.2 has no public function for what `jax.distributed.initialize` finds out.

    Args:
      timeout_seconds: how long to wait for the other processes.

    Returns:
      (address of the coordinator, number of processes, number of this process); None if neither answers.
    """
    from jax._src import clusters

    unset = (None, None, None, None, None, timeout_seconds)
    address, count, process = clusters.ClusterEnv.auto_detect_unset_distributed_params(*unset)[:3]
    if address is None or count is None or process is None:
        return None
    return address, count, process


@runtime_checkable
class KeyValueClient(Protocol):
    """The part of JAX's client for which there is no public type."""

    def key_value_set(self, key: str, value: str) -> None:
        """Publish a text to all processes."""

    def blocking_key_value_get(self, key: str, timeout_in_ms: int) -> str:
        """Wait for a text that another process publishes."""


def jax_key_value_client() -> KeyValueClient:
    """Return the client of `jax.distributed` through which processes exchange texts.

    JAX 0.10.2 has no public name for it.
    """
    from jax._src import distributed

    client: KeyValueClient | None = distributed.global_state.client
    assert client is not None, "jax.distributed.initialize comes first"
    return client


@contextlib.contextmanager
def outside_of_modules() -> Iterator[None]:
    """Detach Linen modules that a method of another module creates. Seen in Flax 0.12.8.

    Flax would otherwise make each a submodule of the other module, which it refuses outside of `setup`.
    """
    from flax.linen import module

    module._context.module_stack.append(None)
    try:
        yield
    finally:
        module._context.module_stack.pop()


def tensorboard_thread(writer: "tensorboardX.SummaryWriter") -> threading.Thread | None:
    """Return the thread in which a writer of tensorboardX 2.6.5 writes; None if it has none."""
    thread: threading.Thread | None = getattr(getattr(writer.file_writer, "event_writer", None), "_worker", None)
    return thread


def abandon_tensorboard(writer: "tensorboardX.SummaryWriter") -> None:
    """Let Python exit without waiting for a writer of tensorboardX 2.6.5 whose thread has died."""
    writer.file_writer.event_writer._closed = True


def optuna_trial(study: "optuna.Study", frozen: "optuna.trial.FrozenTrial") -> "optuna.Trial":
    """Return the running trial of optuna 5.0.0 for a frozen one, even of another process."""
    import optuna

    return optuna.trial.Trial(study, frozen._trial_id)
