"""The processes, on one host or several, that compute a run together: who writes, and what they agree on.

All of them run the same program; the first writes what only one may write, and says what only one need say.
"""

import contextlib
import itertools
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

_questions = itertools.count()
_place = {"id": 0, "count": 1}


def leads() -> bool:
    """Whether this is the only process or the first of several."""
    return _place["id"] == 0


def count() -> int:
    return _place["count"]


def join(coordinator: str | None = None, num_processes: int | None = None, process_id: int | None = None) -> None:
    """Meets the other processes at HOST:PORT, where the first listens; without arguments, as Slurm or a TPU pod says.

    From then on JAX's devices are those of all processes. Nothing is done where nothing says that there are others.
    Raises UserError where the arguments do not fit together, those of the processes do not agree, or not all processes
    have come after meeting.PATIENCE.
    """
    given = {"coordinator": coordinator, "num_processes": num_processes, "process_id": process_id}
    absent = [name for name, value in given.items() if value in (None, "")]
    if len(absent) == 3:
        if (found := meeting.scheduled()) is None:
            return
        given = dict(zip(given, found))
    elif absent:
        raise UserError(f"--{absent[0]} is missing\nexpected --coordinator=HOST:PORT --num_processes=N --process_id=I")
    meeting.meet(*given.values())
    import jax

    seconds = int(meeting.PATIENCE)
    jax.distributed.initialize(
        **{("coordinator_address" if name == "coordinator" else name): value for name, value in given.items()},
        initialization_timeout=seconds,
        heartbeat_timeout_seconds=seconds,
        shutdown_timeout_seconds=seconds,
    )
    # JAX listens for preemptions: a SIGTERM would be lost on it before training listens itself.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _place.update(id=jax.process_index(), count=jax.process_count())
    _speak_apart()


def _speak_apart() -> None:
    """Leaves standard output to what the first process says: libraries, too, write there, and go to standard error."""
    said = os.dup(1)
    os.dup2(2, 1)
    sys.stdout = open(said if leads() else os.devnull, "w")


def gathered(value: Any, problem: str = "") -> list[Any]:
    """What each process says here, in their order, as JSON has it; all must ask, however late some come.

    Raises UserError, in all of several, where one has a `problem`: its own, or else that of the first which has one.
    """
    if count() == 1:
        return [value]
    client, question = compat.jax_key_value_client(), f"ae_jax/{next(_questions)}"
    client.key_value_set(f"{question}/{_place['id']}", json.dumps([value, problem]))
    answers = [json.loads(_heard(client, f"{question}/{i}")) for i in range(count())]
    others = (f"process {i}: {told}" for i, (_, told) in enumerate(answers) if told)
    if problem := problem or next(others, ""):
        raise _Known(problem)
    return [said for said, _ in answers]


def _heard(client, key):
    """What a process says under this key. JAX ends this one where that one died."""
    while True:
        try:
            return client.blocking_key_value_get(key, 1000)  # milliseconds, between which a Ctrl-C is heard
        except RuntimeError as error:
            if "DEADLINE_EXCEEDED" not in str(error):
                raise


class _Known(UserError):
    """An error that all processes raise."""


@contextlib.contextmanager
def agreeing() -> Iterator[None]:
    """Where one process raises a UserError or an OSError within, all raise an error; none goes on before all are at the
    end.
    """
    try:
        yield
    except _Known:
        raise
    except (UserError, OSError) as error:
        gathered(None, str(error))
        raise
    gathered(None)


def check_alike(said: Mapping[str, str]) -> None:
    """Raises UserError, in all processes, where one was told otherwise than the first, {flag: text}."""
    first, *others = gathered(dict(said))
    for number, other in enumerate(others, 1):
        for name in sorted(key for key in {**first, **other} if first.get(key) != other.get(key)):
            one, zero = (f"with {name}={told[name]}" if name in told else f"without {name}" for told in (other, first))
            raise UserError(
                f"process {number} was started {one}, process 0 {zero}\n"
                "expected the same command everywhere, but for --process_id and where the data lie"
            )


def led(present: Callable[[], bool], make: Callable[[], None]) -> None:
    """Makes what is not `present`, once for all processes that see the same files: one makes it, the others wait.

    The first process that lacks it makes it; where some lack it still, since each host has files of its own, the first
    on each host does; and at last whoever sees nothing of that. Raises UserError, in all, where one does.
    """
    for company in ("all", socket.gethostname(), _place["id"]):
        with agreeing():
            lacking = gathered(None if present() else company)
            if company in lacking and lacking.index(company) == _place["id"]:
                make()


def any_of(flag: bool) -> bool:
    """Whether `flag` holds in any process; all must ask."""
    if count() == 1:
        return flag
    import numpy as np
    from jax.experimental import multihost_utils

    return bool(np.any(multihost_utils.process_allgather(np.array(flag))))


def on_host(array: Any) -> Any:
    """The whole of an array of which this process may have a part, for NumPy; all must ask."""
    if count() == 1 or getattr(array, "is_fully_replicated", True):
        return array
    from jax.experimental import multihost_utils

    return multihost_utils.process_allgather(array, tiled=True)
