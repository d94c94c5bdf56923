"""Where a sweep's programs are trained, one place a file: `make(*, ...) -> Engine`; its options become flags."""

import dataclasses
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

# What a process of ours tells JAX, and a fresh one must be told too; on which device it runs is its own affair.
_SETTINGS = ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs")


@dataclasses.dataclass(frozen=True)
class Engine:
    """train: (tasks, ended) -> whether all came to their ends. It trains each by `lockstep.train_task`, wherever it
    likes, and calls `ended()` after each. Raises RunFailed where it cannot.
    """

    train: Callable[[Sequence[Any], Callable[[], None]], bool]
    workers: int = 1  # how many programs it trains at a time
    is_here: bool = True  # on this machine, so that what is measured here holds there


def settings() -> dict[str, Any]:
    """What `settle` needs to make another process like this one."""
    import jax
    from absl import logging

    told = {name: getattr(jax.config, name) for name in _SETTINGS}
    return {"path": sys.path, "argv": sys.argv, "verbosity": logging.get_verbosity(), "jax": told}


def settle(given: Mapping[str, Any]) -> None:
    """Makes this process find the modules, and the compiled programs, that the one of these `settings` finds, and have
    its command line, which a run's versions.json tells.
    """
    import jax
    from absl import logging

    sys.argv = list(given["argv"])
    logging.set_verbosity(given["verbosity"])
    sys.path += [path for path in given["path"] if path not in sys.path]
    for name, value in given["jax"].items():
        jax.config.update(name, value)


def announce(number: int, tasks: Sequence[Any]) -> None:
    """Says which of the tasks is begun, counted from 0."""
    task = tasks[number]
    print(f"program {number + 1} of {len(tasks)}: {len(task.runs)} x {task.way}", flush=True)
