"""Engines that train the compiled groups of a sweep, one in each file.

A file defines `make(*, ...) -> Engine`. The keyword-only arguments of `make` become flags of the command.
"""

import dataclasses
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

# The settings of JAX that this package changes, which a fresh process must be given too. The device is not among them:
# it is the affair of each process.
_SETTINGS = ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs")


@dataclasses.dataclass(frozen=True)
class Engine:
    """A place where the compiled groups of a sweep are trained.

    Attributes:
      train: the function (tasks, ended, machines) -> whether all tasks came to their ends. It trains each task by
        `lockstep.train_task`, in whatever process it likes, and calls `ended()` after each. `machines` holds what this
        process has compiled. It raises RunFailed if the tasks cannot be trained.
      workers: how many tasks it trains at a time.
      is_here: whether it trains on this machine, so that times measured here hold there.
    """

    train: Callable[[Sequence[Any], Callable[[], None], Any], bool]
    workers: int = 1
    is_here: bool = True


def settings() -> dict[str, Any]:
    """Return the settings of this process, for `settle` in another one."""
    import jax
    from absl import logging

    of_jax = {name: getattr(jax.config, name) for name in _SETTINGS}
    return {"path": sys.path, "argv": sys.argv, "verbosity": logging.get_verbosity(), "jax": of_jax}


def settle(given: Mapping[str, Any]) -> None:
    """Give this process the import path, command line and compilation cache of another one.

    Args:
      given: what `settings` returned in the other process.
    """
    import jax
    from absl import logging

    # versions.json of a run records the command line by which the sweep was started.
    sys.argv = list(given["argv"])
    logging.set_verbosity(given["verbosity"])
    sys.path += [path for path in given["path"] if path not in sys.path]
    for name, value in given["jax"].items():
        jax.config.update(name, value)


def announce(number: int, tasks: Sequence[Any]) -> None:
    """Print which of the tasks begins.

    Args:
      number: the number of the task, from 0.
      tasks: all tasks.
    """
    task = tasks[number]
    print(f"program {number + 1} of {len(tasks)}: {len(task.runs)} x {task.way}", flush=True)
