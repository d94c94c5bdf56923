"""The processes, on one host or several, that compute a run together.

All of them execute the same code. Process 0, the first, writes the files that only one may write, and prints.
"""

import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ae_jax.core import compat
from ae_jax.core.errors import UserError
from ae_jax.devices import meeting

# Milliseconds of one wait for another process's message. Between two waits, Python reacts to a Ctrl-C.
_WAIT = 1000


class _Membership:
    """The place of this process among all that compute the run.

    A process begins as the only one, and `join` may make it one of several.
    """

    def __init__(self):
        """Begin as the only process."""
        self.id = 0
        self.count = 1
        self._exchanges = 0

    def next_topic(self) -> str:
        """Return the key under which the processes exchange their next messages."""
        # All processes exchange messages in the same order, so they count alike.
        self._exchanges += 1
        return f"ae_jax/{self._exchanges}"


# JAX connects a process to others once, when it starts, so there is one membership in a process.
_membership = _Membership()


def leads() -> bool:
    """Return whether this is the only process or the first of several."""
    return _membership.id == 0


def count() -> int:
    """Return the number of processes."""
    return _membership.count


# --- joining ----------------------------------------------------------------------------------------------------------


def join(coordinator: str | None = None, num_processes: int | None = None, process_id: int | None = None) -> None:
    """Connect this process to the others of its run, so that JAX uses the devices of all.

    Without arguments, the environment of Slurm or of a TPU pod says which processes there are. If it does not, this
    process stays the only one.

    Args:
      coordinator: address at which process 0 listens, "HOST:PORT".
      num_processes: number of processes.
      process_id: number of this process, from 0.

    Raises:
      UserError: if only some arguments are given, if the processes disagree, or if one of them does not connect within
        `meeting.PATIENCE` seconds.
    """
    if not coordinator and num_processes is None and process_id is None:
        found = meeting.scheduled()
        if found is None:
            return
        coordinator, num_processes, process_id = found
    remedy = "use --coordinator=HOST:PORT --num_processes=N --process_id=I"
    if not coordinator:
        raise UserError(f"--coordinator is missing\n{remedy}")
    if num_processes is None:
        raise UserError(f"--num_processes is missing\n{remedy}")
    if process_id is None:
        raise UserError(f"--process_id is missing\n{remedy}")
    meeting.meet(coordinator, num_processes, process_id)
    import jax

    seconds = int(meeting.PATIENCE)
    jax.distributed.initialize(
        coordinator_address=coordinator,
        num_processes=num_processes,
        process_id=process_id,
        initialization_timeout=seconds,
        heartbeat_timeout_seconds=seconds,
        shutdown_timeout_seconds=seconds,
    )
    # JAX now catches SIGTERM to note a preemption. Until training handles the signal, it must end the process again.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _membership.id, _membership.count = jax.process_index(), jax.process_count()
    _separate_output()


def _separate_output() -> None:
    """Leave standard output to process 0; send what libraries print to standard error."""
    # Libraries write to the file descriptor 1 itself, so that replacing sys.stdout would not divert them.
    original = os.dup(1)
    os.dup2(2, 1)
    sys.stdout = open(original if leads() else os.devnull, "w")


# --- agreeing ---------------------------------------------------------------------------------------------------------


class _SharedError(UserError):
    """An error that all processes raise."""


def exchange(value: Any, problem: str = "") -> list[Any]:
    """Return the values that all processes pass to this call; every process must make the call.

    Args:
      value: this process's value, which JSON can hold.
      problem: message of an error that this process met, or "".

    Returns:
      One value for each process, in the order of their numbers, as JSON holds it.

    Raises:
      UserError: in all of several processes, if one of them has a problem. A process with a problem raises its own, and
        the others that of the first process that has one.
    """
    if count() == 1:
        return [value]
    client, topic = compat.jax_key_value_client(), _membership.next_topic()
    client.key_value_set(f"{topic}/{_membership.id}", json.dumps([value, problem]))
    values, problems = [], []
    for number in range(count()):
        its_value, its_problem = json.loads(_wait_for(client, f"{topic}/{number}"))
        values.append(its_value)
        if its_problem:
            problems.append(f"process {number}: {its_problem}")
    if problem:
        raise _SharedError(problem)
    if problems:
        raise _SharedError(problems[0])
    return values


def _wait_for(client, key):
    """Wait until another process has set a key, and return the text that it set."""
    # If that process dies, JAX ends this one.
    while True:
        try:
            return client.blocking_key_value_get(key, _WAIT)
        except RuntimeError as error:
            if "DEADLINE_EXCEEDED" not in str(error):
                raise


@contextlib.contextmanager
def agreeing() -> Iterator[None]:
    """Make all processes raise an error if one of them raises one in the `with` block.

    This holds for a UserError and an OSError. Every process must enter the block, and none leaves it before all have
    come to its end.
    """
    try:
        yield
    except _SharedError:
        # All processes raise this one already: another exchange would wait for ever.
        raise
    except (UserError, OSError) as error:
        exchange(None, str(error))
        raise
    exchange(None)


def check_alike(words: Mapping[str, str]) -> None:
    """Check that all processes were started with the same flags.

    Args:
      words: {flag: text} of this process.

    Raises:
      UserError: in all processes, if the flags of one differ from those of process 0.
    """
    first, *others = exchange(dict(words))
    for number, other in enumerate(others, 1):
        differing = sorted(flag for flag in {**first, **other} if first.get(flag) != other.get(flag))
        if differing:
            flag = differing[0]
            raise UserError(
                f"process {number} was started {_with(flag, other)}, process 0 {_with(flag, first)}\n"
                "use the same command everywhere, except for --process_id and the paths of data"
            )


def _with(flag, words):
    return f"with {flag}={words[flag]}" if flag in words else f"without {flag}"


def make_once(present: Callable[[], bool], make: Callable[[], None]) -> None:
    """Call make() in as few processes as possible until present() is true in all of them.

    The first process that lacks the files makes them, for all hosts that share a disk. Where processes still lack them,
    the first of those on each host makes them, for hosts with disks of their own. Processes that lack them even then
    make them for themselves.

    Args:
      present: returns whether this process sees the files.
      make: makes the files.

    Raises:
      UserError: in all processes, if one of them raises a UserError or an OSError.
    """
    for scope in ("all hosts", socket.gethostname(), _membership.id):
        with agreeing():
            lacking = exchange(None if present() else scope)
            if scope in lacking and lacking.index(scope) == _membership.id:
                make()


# --- arrays -----------------------------------------------------------------------------------------------------------


def any_of(flag: bool) -> bool:
    """Return whether a flag is true in any process; every process must make the call.

    Args:
      flag: this process's flag.
    """
    if count() == 1:
        return flag
    import numpy as np
    from jax.experimental import multihost_utils

    return bool(np.any(multihost_utils.process_allgather(np.array(flag))))


def on_host(array: Any) -> Any:
    """Return an array that NumPy can read in full; every process must make the call.

    Args:
      array: global array, of which this process may hold only a part.
    """
    if count() == 1 or getattr(array, "is_fully_replicated", True):
        return array
    from jax.experimental import multihost_utils

    return multihost_utils.process_allgather(array, tiled=True)
