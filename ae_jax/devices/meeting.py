"""The meeting of the processes that compute a run together, before JAX connects them.

The processes find each other by command line flags, or by the environment of Slurm or of a TPU pod.
"""

import contextlib
import importlib.util
import json
import os
import re
import socket
import time
import urllib.request
from typing import IO, Any

from ae_jax.core import compat
from ae_jax.core.errors import UserError

# Seconds in which all processes must have connected. A command that waits in vain fails within a minute of its start.
PATIENCE = 40.0
# Seconds that the others wait longer than process 0, which may have begun to wait later than they did.
_GRACE = 5.0
# Seconds that process 0 waits for a connection to say who it is, so that a stranger cannot block the meeting.
_PATIENCE_PER_GUEST = 2
# Seconds between two attempts to connect.
_PAUSE = 0.1

_Address = tuple[str, int]  # (host, port)


# --- what the environment says ----------------------------------------------------------------------------------------


def scheduled() -> tuple[str, int, int] | None:
    """Return how Slurm or a TPU pod started this process, or None if it is the only one.

    Returns:
      (address of process 0 as "HOST:PORT", number of processes, number of this process).
    """
    if _in_slurm_step() or _in_tpu_pod():
        return compat.jax_cluster(int(PATIENCE))
    return None


def _in_slurm_step() -> bool:
    return int(os.environ.get("SLURM_NTASKS", 1)) > 1 and "SLURM_STEP_NODELIST" in os.environ


def _in_tpu_pod() -> bool:
    # Both texts list workers, joined by commas: a single worker has no comma.
    return "," in os.environ.get("TPU_WORKER_HOSTNAMES", "") or "," in _pod_workers()


def _pod_workers() -> str:
    """Return the workers of this machine's TPU pod, joined by commas, or "" without a pod."""
    # Only a TPU VM has a metadata server; elsewhere the request would wait for its timeout.
    if importlib.util.find_spec("libtpu") is None or "TPU_SKIP_MDS_QUERY" in os.environ:
        return ""
    server = os.environ.get("GCE_METADATA_IP", "metadata.google.internal")
    address = f"http://{server}/computeMetadata/v1/instance/attributes/worker-network-endpoints"
    with contextlib.suppress(OSError):
        request = urllib.request.Request(address, headers={"Metadata-Flavor": "Google"})
        return urllib.request.urlopen(request, timeout=2).read().decode()
    return ""


# --- the meeting ------------------------------------------------------------------------------------------------------


def meet(coordinator: str, count: int, process: int) -> None:
    """Wait until all processes have connected to process 0 and agree on their number.

    `jax.distributed` would end the process if another one does not connect, and would not compare the numbers.

    Args:
      coordinator: address at which process 0 listens: "HOST:PORT" or "[IPV6]:PORT".
      count: number of processes.
      process: number of this process, from 0.

    Raises:
      UserError: if an argument is not valid, if the processes disagree, or if one of them does not connect in time.
    """
    address = _parse_address(coordinator)
    if not 0 <= process < count:
        raise UserError(
            f"--process_id={process} must be less than --num_processes={count}\nuse a number from 0 to {count - 1}"
        )
    deadline = time.monotonic() + PATIENCE
    if process == 0:
        _check_resolves(address)
        _host_meeting(address, count, deadline)
        return
    answer = _ask_host(address, {"process": process, "of": count}, deadline)
    if answer is None:
        raise UserError(
            f"process {process} of {count}: no answer from the coordinator at {coordinator} in {PATIENCE:.0f} s\n"
            "start process 0 on that host, and give all processes the same --coordinator"
        )
    if answer:
        raise UserError(answer)


def _parse_address(coordinator: str) -> _Address:
    match = re.fullmatch(r"(?:\[(.+)\]|([^][/:]+)):(\d+)", coordinator)
    if not match or not 0 < int(match[3]) < 2**16:
        raise UserError(f"--coordinator={coordinator} is not an address\nuse HOST:PORT of process 0")
    return match[1] or match[2], int(match[3])


def _check_resolves(address: _Address) -> None:
    """Check that process 0 can resolve its own address; JAX would abort without a message."""
    try:
        socket.getaddrinfo(*address)
    except OSError as error:
        raise UserError(f"--coordinator={address[0]}:{address[1]}: {error}\nuse HOST:PORT of process 0") from None


def _host_meeting(address: _Address, count: int, deadline: float) -> None:
    """Wait in process 0 for the other processes, and tell them whether all agree.

    Raises:
      UserError: if the processes disagree, or if one of them does not connect before the deadline.
    """
    name, problem = f"{address[0]}:{address[1]}", ""
    guests: dict[int, IO[str]] = {}
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(_listen(address, name))
        while len(guests) < count - 1 and not problem:
            try:
                server.settimeout(max(deadline - time.monotonic(), 0.01))
                connection = stack.enter_context(server.accept()[0])
                connection.settimeout(_PATIENCE_PER_GUEST)
                guest = stack.enter_context(connection.makefile("rw"))
            except TimeoutError:
                missing = ", ".join(str(number) for number in range(1, count) if number not in guests)
                problem = f"process 0 of {count} at {name}: process {missing} did not connect in {PATIENCE:.0f} s"
                break
            # Whatever else connects to the port sends something else, or nothing: it is ignored.
            with contextlib.suppress(ValueError, KeyError, TypeError, OSError):
                hello = json.loads(guest.readline())
                number, expected = hello["process"], hello["of"]
                if expected != count:
                    problem = f"process {number} was started with --num_processes={expected}, process 0 with {count}"
                elif number in guests:
                    problem = f"two processes were started with --process_id={number}"
                guests.setdefault(number, guest)
        if problem:
            problem += "\nuse the same --coordinator and --num_processes everywhere, and --process_id=0, 1, ..."
        for present in guests.values():
            # A process may have ended while it waited: the others still get their answer.
            with contextlib.suppress(OSError):
                print(json.dumps(problem), file=present, flush=True)
    if problem:
        raise UserError(problem)


def _listen(address: _Address, name: str) -> socket.socket:
    """Return a socket that listens on all interfaces. Raise UserError if the port is not free."""
    both = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if both else socket.AF_INET
    try:
        return socket.create_server(("", address[1]), family=family, dualstack_ipv6=both)
    except OSError as error:
        raise UserError(f"process 0 cannot listen at {name}: {error}\nuse another port in --coordinator") from None


def _ask_host(address: _Address, hello: dict[str, int], deadline: float) -> Any:
    """Connect to process 0 and return its answer.

    Returns:
      "" if all processes agree, a text that says how they disagree, or None if process 0 does not answer.
    """
    while (left := deadline - time.monotonic()) > 0:
        # Process 0 may not listen yet: a refused connection is tried again.
        with contextlib.suppress(OSError, ValueError):
            with socket.create_connection(address, timeout=left) as connection, connection.makefile("rw") as line:
                print(json.dumps(hello), file=line, flush=True)
                connection.settimeout(left + _GRACE)
                return json.loads(line.readline())
        time.sleep(_PAUSE)
    return None
