"""Names of other libraries that are not public, and settings that quieten them; each with the version it was seen in.

Nothing else in ae_jax touches a private name of another library, so a new version of one breaks at most this file.
"""

import contextlib
import functools
import logging
import pathlib
import sys
from collections.abc import Iterator
from typing import Any


@functools.cache
def silence_orbax() -> None:
    """Drop what Orbax 0.12.8 logs: `ae_jax.training.checkpoints` reports damage and full disks itself."""
    from absl import logging as absl_logging

    absl_logging.get_absl_logger().addFilter(lambda record: "orbax" not in pathlib.Path(record.pathname).parts)


@functools.cache
def quieten_process() -> None:
    """Keep libraries' notes and their tracebacks of background work off the screen of a command.

    Orbax 0.12.8 reads through asyncio, which prints a traceback for each read that is under way when another fails.
    """
    from absl import logging as absl_logging

    absl_logging.set_verbosity(absl_logging.ERROR)
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    print_other = sys.unraisablehook
    known = ("Event loop is closed", "Encountered error while reading array index")

    def hook(unraisable: Any) -> None:
        if not str(unraisable.exc_value).startswith(known):
            print_other(unraisable)

    sys.unraisablehook = hook


def jax_cluster(timeout_seconds: int) -> tuple[str, int, int] | None:
    """Return (coordinator's address, number of processes, own number) as Slurm or a TPU pod says; None without one.

    JAX 0.10.2 has no public way to ask what `jax.distributed.initialize` would find out.
    """
    from jax._src import clusters

    unset = (None, None, None, None, None, timeout_seconds)
    found = clusters.ClusterEnv.auto_detect_unset_distributed_params(*unset)[:3]
    return None if None in found else found


def jax_key_value_client() -> Any:
    """Return the client by which the processes of `jax.distributed` exchange texts. JAX 0.10.2 has no public one."""
    from jax._src import distributed

    return distributed.global_state.client


@contextlib.contextmanager
def outside_of_modules() -> Iterator[None]:
    """Make Linen modules, made in a method of another module, modules of their own. Seen in Flax 0.12.8.

    Otherwise each would become a part of the other module, and be refused.
    """
    from flax.linen import module

    module._context.module_stack.append(None)
    try:
        yield
    finally:
        module._context.module_stack.pop()


def tensorboard_thread(writer: Any) -> Any:
    """Return the thread by which a tensorboardX writer writes, or None. Seen in tensorboardX 2.6.5."""
    return getattr(getattr(writer.file_writer, "event_writer", None), "_worker", None)


def abandon_tensorboard(writer: Any) -> None:
    """Make Python end without waiting for a writer whose thread has died. Seen in tensorboardX 2.6.5."""
    writer.file_writer.event_writer._closed = True


def optuna_trial(study: Any, frozen: Any) -> Any:
    """Return the running trial of a frozen one, from any process. Seen in optuna 5.0.0."""
    import optuna

    return optuna.trial.Trial(study, frozen._trial_id)
