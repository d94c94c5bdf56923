"""The processes, on one host or several, that compute a run together: how they meet, who writes, what they agree on.

All of them run the same program; the first writes what only one may write, and says what only one need say.
"""

import contextlib
import importlib.util
import itertools
import json
import os
import re
import signal
import socket
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

from ae_jax.errors import UserError

PATIENCE = 50.0  # seconds in which all must have come
_GRACE = 5.0  # seconds more for the answer of a first process that waits for others, and may have begun later
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
    have come after PATIENCE.
    """
    given = {"coordinator": coordinator, "num_processes": num_processes, "process_id": process_id}
    absent = [name for name, value in given.items() if value in (None, "")]
    if len(absent) == 3:
        if (found := _scheduled()) is None:
            return
        given = dict(zip(given, found))
    elif absent:
        raise UserError(f"--{absent[0]} is missing\nexpected --coordinator=HOST:PORT --num_processes=N --process_id=I")
    _meet(*given.values())
    import jax

    seconds = int(PATIENCE)
    jax.distributed.initialize(
        **{("coordinator_address" if name == "coordinator" else name): value for name, value in given.items()},
        initialization_timeout=seconds,
        heartbeat_timeout_seconds=seconds,
        shutdown_timeout_seconds=seconds,
    )
    # JAX listens for preemptions: a SIGTERM would be lost on it before training listens itself.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _place.update(id=jax.process_index(), count=jax.process_count())
    if not leads():
        sys.stdout = open(os.devnull, "w")


def _scheduled() -> tuple[str, int, int] | None:
    """(address of the first, number, own number) of the processes that Slurm, or a TPU pod, started; None where nothing
    says that there are several.
    """
    slurm = int(os.environ.get("SLURM_NTASKS", 1)) > 1 and "SLURM_STEP_NODELIST" in os.environ
    if not (slurm or "," in os.environ.get("TPU_WORKER_HOSTNAMES", "") or "," in _pod()):
        return None
    from jax._src import clusters  # there is no public way to ask

    found = clusters.ClusterEnv.auto_detect_unset_distributed_params(None, None, None, None, None, int(PATIENCE))[:3]
    return None if None in found else found


def _pod() -> str:
    """The workers of the TPU pod of which this machine is one, joined by commas; "" where it is none."""
    if importlib.util.find_spec("libtpu") is None or "TPU_SKIP_MDS_QUERY" in os.environ:
        return ""
    server = os.environ.get("GCE_METADATA_IP", "metadata.google.internal")
    address = f"http://{server}/computeMetadata/v1/instance/attributes/worker-network-endpoints"
    with contextlib.suppress(OSError):
        request = urllib.request.Request(address, headers={"Metadata-Flavor": "Google"})
        return urllib.request.urlopen(request, timeout=2).read().decode()
    return ""


def _meet(coordinator, count, process):
    """Returns once all processes have come to the coordinator and agree on their number.

    JAX's own meeting ends the process where someone does not come, and does not compare the numbers.
    """
    match = re.fullmatch(r"\[?(.+?)\]?:(\d+)", coordinator)
    if not match or int(match[2]) > 65535:
        raise UserError(f"--coordinator={coordinator} is no address\nexpected HOST:PORT of process 0")
    if not 0 <= process < count:
        raise UserError(f"--process_id={process} of --num_processes={count}\nexpected a number from 0 to {count - 1}")
    address, deadline = (match[1], int(match[2])), time.monotonic() + PATIENCE
    if process == 0:
        return _receive(address, count, deadline)
    answer = _call(address, {"process": process, "of": count}, deadline)
    if answer is None:
        raise UserError(
            f"process {process} of {count}: no answer from the coordinator at {coordinator} in {PATIENCE:.0f} s\n"
            "is process 0 running there, and do the others have its address?"
        )
    if answer:
        raise UserError(answer)


def _receive(address, count, deadline):
    """What the first process does: waits for the others, and tells them all whether they agree."""
    name, guests, problem = f"{address[0]}:{address[1]}", {}, ""
    with contextlib.ExitStack() as stack:
        try:
            server = stack.enter_context(socket.create_server(("", address[1])))
        except OSError as error:
            raise UserError(f"process 0 cannot listen at {name}: {error}\ntry another port in --coordinator") from None
        while len(guests) < count - 1 and not problem:
            try:
                server.settimeout(max(deadline - time.monotonic(), 0.01))
                guest = stack.enter_context(server.accept()[0])
                guest.settimeout(max(deadline - time.monotonic(), 0.01))  # one that says nothing is not waited for
                line = stack.enter_context(guest.makefile("rw"))
            except TimeoutError:
                missing = ", ".join(str(i) for i in range(1, count) if i not in guests)
                problem = f"process 0 of {count} at {name}: process {missing} did not come in {PATIENCE:.0f} s"
                break
            with contextlib.suppress(ValueError, KeyError, TypeError, OSError):  # of a caller that is none of ours
                hello = json.loads(line.readline())
                number, expected = hello["process"], hello["of"]
                if expected != count:
                    problem = f"process {number} was started with --num_processes={expected}, process 0 with {count}"
                elif number in guests:
                    problem = f"two processes were started with --process_id={number}"
                guests.setdefault(number, line)
        if problem:
            problem += "\nexpected the same --coordinator and --num_processes everywhere, and --process_id=0, 1, ..."
        for guest in guests.values():
            with contextlib.suppress(OSError):
                print(json.dumps(problem), file=guest, flush=True)
    if problem:
        raise UserError(problem)


def _call(address, hello, deadline):
    """What the first process answers; None where it does not."""
    while (left := deadline - time.monotonic()) > 0:
        with contextlib.suppress(OSError, ValueError):
            with socket.create_connection(address, timeout=left) as connection, connection.makefile("rw") as line:
                print(json.dumps(hello), file=line, flush=True)
                connection.settimeout(left + _GRACE)
                return json.loads(line.readline())
        time.sleep(0.1)
    return None


def gathered(value: Any, problem: str = "") -> list[Any]:
    """What each process says here, in their order, as JSON has it; all must ask, however late some come.

    Raises UserError, in all of several, where one has a `problem`: its own, or else that of the first which has one.
    """
    if count() == 1:
        return [value]
    from jax._src import distributed  # there is no public way to exchange words

    client, question = distributed.global_state.client, f"ae_jax/{next(_questions)}"
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
    """Where one process raises a UserError within, all do; none goes on before all are at the end."""
    try:
        yield
    except _Known:
        raise
    except UserError as error:
        gathered(None, str(error))
        raise
    gathered(None)


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
