"""How the processes that compute a run together meet: by flags, or by what Slurm or a TPU pod says."""

import contextlib
import importlib.util
import json
import os
import re
import socket
import time
import urllib.request

from ae_jax.core import compat
from ae_jax.core.errors import UserError

PATIENCE = 40.0  # seconds in which all must have come, so that with its start a command waits less than a minute
_GRACE = 5.0  # seconds more for the answer of a first process that waits for others, and may have begun later


def scheduled() -> tuple[str, int, int] | None:
    """(address of the first, number, own number) of the processes that Slurm, or a TPU pod, started; None where nothing
    says that there are several.
    """
    slurm = int(os.environ.get("SLURM_NTASKS", 1)) > 1 and "SLURM_STEP_NODELIST" in os.environ
    if not (slurm or "," in os.environ.get("TPU_WORKER_HOSTNAMES", "") or "," in _pod()):
        return None
    return compat.jax_cluster(int(PATIENCE))


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


def meet(coordinator: str, count: int, process: int) -> None:
    """Returns once all processes have come to the coordinator and agree on their number; raises UserError.

    JAX's own meeting ends the process where someone does not come, and does not compare the numbers.
    """
    match = re.fullmatch(r"(?:\[(.+)\]|([^][/:]+)):(\d+)", coordinator)
    if not match or not 0 < int(match[3]) < 2**16:
        raise UserError(f"--coordinator={coordinator} is no address\nexpected HOST:PORT of process 0")
    if not 0 <= process < count:
        raise UserError(f"--process_id={process} of --num_processes={count}\nexpected a number from 0 to {count - 1}")
    address, deadline = (match[1] or match[2], int(match[3])), time.monotonic() + PATIENCE
    if process == 0:
        _check_own(address)
        return _receive(address, count, deadline)
    answer = _call(address, {"process": process, "of": count}, deadline)
    if answer is None:
        raise UserError(
            f"process {process} of {count}: no answer from the coordinator at {coordinator} in {PATIENCE:.0f} s\n"
            "is process 0 running there, and do the others have its address?"
        )
    if answer:
        raise UserError(answer)


def _check_own(address):
    """Raises UserError where the first process finds no host of its own address, which ends JAX without a word."""
    try:
        socket.getaddrinfo(*address)
    except OSError as error:
        raise UserError(f"--coordinator={address[0]}:{address[1]}: {error}\nexpected HOST:PORT of process 0") from None


def _receive(address, count, deadline):
    """What the first process does: waits for the others, and tells them all whether they agree."""
    name, guests, problem = f"{address[0]}:{address[1]}", {}, ""
    with contextlib.ExitStack() as stack:
        try:
            both = socket.has_dualstack_ipv6()
            family = socket.AF_INET6 if both else socket.AF_INET
            server = stack.enter_context(socket.create_server(("", address[1]), family=family, dualstack_ipv6=both))
        except OSError as error:
            raise UserError(f"process 0 cannot listen at {name}: {error}\ntry another port in --coordinator") from None
        while len(guests) < count - 1 and not problem:
            try:
                server.settimeout(max(deadline - time.monotonic(), 0.01))
                guest = stack.enter_context(server.accept()[0])
                guest.settimeout(2)  # one that says nothing is not waited for
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
