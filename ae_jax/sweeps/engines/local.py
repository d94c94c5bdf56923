"""Training on this machine, in this process or in several processes at a time."""

import functools
import multiprocessing
import os
import signal
import threading
from concurrent import futures

from ae_jax.core.errors import RunFailed, UserError
from ae_jax.sweeps import engines

# Seconds after which the leading process looks whether it was asked to stop.
_PAUSE = 0.2


def make(*, jobs: int = 1) -> engines.Engine:
    """Make the engine that trains on this machine.

    Args:
      jobs: how many processes train groups at the same time. Each of them sees all cores, because XLA splits products
        by the number of cores, and the bytes of a run depend on it.

    Raises:
      UserError: if the number is below 1, or if there are several processes on an accelerator, which only one can use.
    """
    if jobs < 1:
        raise UserError(f"--jobs={jobs} is not a number of processes\nuse at least 1")
    if jobs == 1:
        return engines.Engine(_train_in_turn)
    import jax

    if (platform := jax.default_backend()) != "cpu":
        raise UserError(f"--jobs={jobs} on a {platform}, which one process occupies\nuse --jobs=1")
    return engines.Engine(functools.partial(_train_in_processes, jobs), jobs)


# --- in this process --------------------------------------------------------------------------------------------------


def _train_in_turn(tasks, ended, machines):
    """Train one task after the other, as `engines.Engine` says."""
    from ae_jax.experiments import hooks
    from ae_jax.sweeps import lockstep

    stop = hooks.Stop()
    try:
        for number, task in enumerate(tasks):
            engines.announce(number, tasks)
            if not lockstep.train_task(task, lambda: stop.requested, machines=machines):
                return False
            ended()
    finally:
        stop.restore()
    return True


# --- in several processes ---------------------------------------------------------------------------------------------


def _train_in_processes(jobs, tasks, ended, machines):
    """Train several tasks at a time, as `engines.Engine` says."""
    # The workers compile for themselves: compiled programs cannot be sent to another process.
    from ae_jax.experiments import hooks

    # A forked process would inherit locks that JAX's threads hold, and might hang.
    context = multiprocessing.get_context("spawn")
    stop, stopping = hooks.Stop(), context.Event()
    pool = futures.ProcessPoolExecutor(jobs, context, _begin_worker, (engines.settings(), stopping))
    going = {pool.submit(_train_in_worker, number, tasks) for number in range(len(tasks))}
    all_ended = True
    try:
        while going:
            done, going = futures.wait(going, timeout=_PAUSE, return_when=futures.FIRST_COMPLETED)
            for future in done:
                all_ended &= future.result()
                ended()
            if stop.requested:
                stopping.set()
    except futures.process.BrokenProcessPool:
        # The pool ends its other workers with SIGTERM, which only asks them to stop at the next window.
        for process in multiprocessing.active_children():
            process.kill()
        raise RunFailed("a process that trained a compiled group died\nrun the same command again to go on") from None
    finally:
        stopping.set()
        pool.shutdown(cancel_futures=True)
        stop.restore()
    return all_ended


class _Worker:
    """The state that a worker process keeps between its tasks."""

    def __init__(self, settings, stopping):
        """Settle the process, and let signals ask it to stop.

        Args:
          settings: those of the leading process, as `engines.settings` returns them.
          stopping: an event that the leading process sets to stop all workers.
        """
        # Signals come first: what follows takes seconds, and a signal must not kill the worker meanwhile.
        self._stopping, self._terminated = stopping, False
        # A Ctrl-C reaches all processes of a terminal. The leading process passes it on, so that all stop together.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        # Slurm sends SIGTERM to all processes.
        signal.signal(signal.SIGTERM, self._handle)
        threading.Thread(target=_end_with_parent, daemon=True).start()
        engines.settle(settings)
        from ae_jax.sweeps import compiled  # imports JAX, which must find the settings

        self._machines = compiled.Machines()

    def _handle(self, number, frame):
        self._terminated = True

    def train(self, number, tasks):
        """Train a task, and return whether its runs came to their ends."""
        from ae_jax.sweeps import lockstep

        if self._asked_to_stop():
            return False
        engines.announce(number, tasks)
        return lockstep.train_task(tasks[number], self._asked_to_stop, machines=self._machines)

    def _asked_to_stop(self):
        return self._terminated or self._stopping.is_set()


def _begin_worker(settings, stopping):
    """Make the worker of a fresh process."""
    # The pool calls functions by name and passes them nothing of this process: the worker needs a global name.
    global _worker
    _worker = _Worker(settings, stopping)


def _train_in_worker(number, tasks):
    """Train a task in the worker of this process."""
    return _worker.train(number, tasks)


def _end_with_parent():
    """End this process when the leading process has died."""
    # The next sweep would train the same groups beside it.
    multiprocessing.parent_process().join()
    os._exit(1)
