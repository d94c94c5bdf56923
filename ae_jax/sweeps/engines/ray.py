"""Training on a Ray cluster: each compiled group is a Ray task.

When a node dies, another one continues its groups from their last checkpoints. All nodes must see the sweep's directory
and this package under the same paths.
"""

import functools
import os
import socket
import threading
import time

from ae_jax.core import errors
from ae_jax.core.errors import RunFailed, UserError
from ae_jax.experiments import configuration
from ae_jax.sweeps import engines

# How often Ray starts a group again whose worker or node died.
_RETRIES = 10
# Seconds after which the command looks whether it was asked to stop.
_PAUSE = 0.5


def make(*, ray_address: str = "auto", ray_cpus: int = 1, ray_patience: float = 12.0) -> engines.Engine:
    """Make the engine that trains on a Ray cluster.

    Args:
      ray_address: HOST:PORT of the cluster, or "auto" for the one to which this machine belongs.
      ray_cpus: how many CPUs of a node a group occupies. If the cluster has GPUs, it also occupies one of them.
      ray_patience: how many seconds to wait for the cluster to answer.

    Raises:
      UserError: if Ray is not installed, if no cluster answers, or if no node has enough CPUs.
    """
    try:
        import ray
    except ImportError:
        raise UserError("--engine=ray needs Ray, which is not installed\nuse pip install -e .[ray]") from None
    if ray_cpus < 1:
        raise UserError(f"--ray_cpus={ray_cpus} is not a number of CPUs\nuse at least 1")
    _connect(ray_address, ray_patience)
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    gpus = int(any(node.get("GPU") for node in nodes))
    workers = sum(_groups_at_a_time(node, ray_cpus, gpus) for node in nodes)
    if not workers:
        most = max(int(node.get("CPU", 0)) for node in nodes)
        raise UserError(f"--ray_cpus={ray_cpus}: no node has so many CPUs\nuse at most {most}")
    options = {"num_cpus": ray_cpus, "num_gpus": gpus, "max_retries": _RETRIES, "scheduling_strategy": "SPREAD"}
    return engines.Engine(functools.partial(_train, options), workers, is_here=False)


def _groups_at_a_time(node, cpus, gpus):
    """Return how many groups fit on a node, of which the resources {name: amount} are given."""
    fitting = int(node.get("CPU", 0) // cpus)
    if gpus:
        fitting = min(fitting, int(node.get("GPU", 0) // gpus))
    return fitting


# --- the cluster ------------------------------------------------------------------------------------------------------


def _connect(address, patience):
    """Connect this process to the cluster, or raise UserError."""
    deadline = time.monotonic() + patience
    if address != "auto" and not _listens(address, patience):
        raise _no_cluster(address)
    failures = _connect_in_thread(address, deadline)
    # Without an entry the thread still waits.
    if failures != [""]:
        raise _no_cluster(address, *failures)


def _connect_in_thread(address, deadline):
    """Connect to the cluster, and return [""] or [reason of the failure]; [] after the deadline."""
    import ray

    paths = os.pathsep.join([str(configuration.ROOT), os.getcwd(), os.environ.get("PYTHONPATH", "")])
    failures = []

    def connect():
        try:
            ray.init(address, logging_level="ERROR", runtime_env={"env_vars": {"PYTHONPATH": paths}})
            failures.append("")
        except Exception as error:  # Ray raises many, and Python would print those of a thread
            failures.append(f": {errors.first_line(error)}")

    # Ray itself would wait for a minute and then abort the process.
    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    thread.join(max(deadline - time.monotonic(), 0.1))
    return failures


def _no_cluster(address, reason=""):
    return UserError(f"no Ray cluster at --ray_address={address}{reason}\nuse ray start --head, and --ray_address=auto")


def _listens(address, patience):
    """Return whether anything listens at HOST:PORT. Raise UserError if the text is no address."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if not host or not port.isdigit():
        raise UserError(f"--ray_address={address} is not an address\nuse HOST:PORT or auto")
    try:
        with socket.create_connection((host, int(port)), timeout=patience):
            return True
    except (OSError, OverflowError):
        return False


# --- training ---------------------------------------------------------------------------------------------------------


def _train(options, tasks, ended, machines):
    """Train the tasks on the cluster, as `engines.Engine` says."""
    import ray

    from ae_jax.experiments import hooks

    stop, cancelled, all_ended, lost = hooks.Stop(), False, True, {}
    train = ray.remote(**options)(_train_there)
    settings = engines.settings()
    going = {train.remote(number, tasks, settings): task for number, task in enumerate(tasks)}
    try:
        while going:
            done, _ = ray.wait(list(going), timeout=_PAUSE)
            for reference in done:
                task = going.pop(reference)
                try:
                    all_ended &= ray.get(reference)
                except ray.exceptions.TaskCancelledError:
                    all_ended = False
                except ray.exceptions.RayTaskError as error:
                    if isinstance(error.cause, UserError):
                        raise error.cause from None
                    raise
                except ray.exceptions.RayError as error:  # a worker or a node died, or had no memory left
                    lost[task.name] = errors.first_line(error)
                ended()
            if stop.requested and not cancelled:
                cancelled = True
                for reference in going:
                    ray.cancel(reference)
    finally:
        stop.restore()
    if lost:
        name, reason = next(iter(lost.items()))
        raise RunFailed(
            f"{len(lost)} compiled groups were lost, {name} to: {reason}\nrun the same command again to go on"
        )
    return all_ended


def _train_there(number, tasks, settings):
    """Train a task in a worker of the cluster."""
    from ae_jax.experiments import hooks
    from ae_jax.sweeps import lockstep

    engines.settle(settings)
    engines.announce(number, tasks)
    # Cancelling a task interrupts the main thread of its worker, like a Ctrl-C.
    stop = hooks.Stop()
    try:
        return lockstep.train_task(tasks[number], lambda: stop.requested)
    finally:
        stop.restore()
