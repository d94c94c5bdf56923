"""On a Ray cluster: each program is a task, which another node takes up from its last checkpoint when its own dies.

All nodes see the sweep's directory, and this package, under the same paths.
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

_RETRIES = 10  # of a program whose worker or node died


def make(*, ray_address: str = "auto", ray_cpus: int = 1, ray_patience: float = 12.0) -> engines.Engine:
    """ray_address: HOST:PORT of the cluster, or "auto" for the one to which this machine belongs.
    ray_cpus: how many CPUs a program takes of a node; where the cluster has GPUs it takes one of them too.
    ray_patience: seconds until the cluster must have answered.

    Raises UserError where Ray is not installed, no cluster answers, or no node has so many CPUs.
    """
    try:
        import ray
    except ImportError:
        raise UserError("--engine=ray needs Ray, which is not installed\ntry: pip install -e .[ray]") from None
    if ray_cpus < 1:
        raise UserError(f"--ray_cpus={ray_cpus}\nexpected at least 1")
    _connect(ray_address, ray_patience)
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    gpus = int(any(node.get("GPU") for node in nodes))
    needs = {"CPU": ray_cpus, **({"GPU": 1} if gpus else {})}
    workers = sum(min(int(node.get(name, 0) // count) for name, count in needs.items()) for node in nodes)
    if not workers:
        most = max(int(node.get("CPU", 0)) for node in nodes)
        raise UserError(f"--ray_cpus={ray_cpus}, and no node has so many\nexpected at most {most}")
    options = {"num_cpus": ray_cpus, "num_gpus": gpus, "max_retries": _RETRIES, "scheduling_strategy": "SPREAD"}
    return engines.Engine(functools.partial(_train, options), workers, is_here=False)


def _connect(address, patience):
    """Connects to the cluster. Ray itself waits for a minute and then aborts the process."""
    import ray

    deadline = time.monotonic() + patience
    failed = lambda why="": UserError(
        f"no Ray cluster at --ray_address={address}{why}\ntry: ray start --head, and --ray_address=auto"
    )
    if address != "auto" and not _listens(address, patience):
        raise failed()
    paths = os.pathsep.join([str(configuration.ROOT), os.getcwd(), os.environ.get("PYTHONPATH", "")])
    answered = []

    def connect():
        try:
            ray.init(address, logging_level="ERROR", runtime_env={"env_vars": {"PYTHONPATH": paths}})
            answered.append("")
        except Exception as error:  # Ray has many, and a thread's would be printed
            answered.append(f": {errors.first_line(error)}")

    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    thread.join(max(deadline - time.monotonic(), 0.1))
    if answered != [""]:
        raise failed(*answered)


def _listens(address, patience):
    """Whether anything does at HOST:PORT. Raises UserError for what is no address."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if not host or not port.isdigit():
        raise UserError(f"--ray_address={address}\nexpected HOST:PORT or auto")
    try:
        with socket.create_connection((host, int(port)), timeout=patience):
            return True
    except (OSError, OverflowError):
        return False


def _train(options, tasks, ended):
    import ray

    from ae_jax.experiments import hooks

    stop, settings, lost, whole, told = hooks.Stop(), engines.settings(), {}, True, False
    train = ray.remote(**options)(_train_there)
    going = {train.remote(number, tasks, settings): task for number, task in enumerate(tasks)}
    try:
        while going:
            done, _ = ray.wait(list(going), timeout=0.5)
            for one in done:
                task = going.pop(one)
                try:
                    whole &= ray.get(one)
                except ray.exceptions.TaskCancelledError:
                    whole = False
                except ray.exceptions.RayTaskError as error:
                    if isinstance(error.cause, UserError):
                        raise error.cause from None
                    raise
                except ray.exceptions.RayError as error:  # a worker or a node died, or had no memory left
                    lost[task.name] = errors.first_line(error)
                ended()
            if stop.requested and not told:
                told = True
                for one in going:
                    ray.cancel(one)
    finally:
        stop.restore()
    if lost:
        name, reason = next(iter(lost.items()))
        raise RunFailed(f"{len(lost)} programs were lost, {name} to: {reason}\nthe same command goes on from there")
    return whole


def _train_there(number, tasks, settings):
    """Trains a task in a worker, whose main thread is interrupted where the task is cancelled."""
    from ae_jax.experiments import hooks
    from ae_jax.sweeps import lockstep

    engines.settle(settings)
    engines.announce(number, tasks)
    stop = hooks.Stop()
    try:
        return lockstep.train_task(tasks[number], lambda: stop.requested)
    finally:
        stop.restore()
