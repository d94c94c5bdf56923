"""On this machine: one program after the other in this process, or several at a time in processes of their own."""

import functools
import multiprocessing
import os
import signal
import threading
from concurrent import futures

from ae_jax.core.errors import RunFailed, UserError
from ae_jax.sweeps import engines


def make(*, jobs: int = 1) -> engines.Engine:
    """jobs: how many processes. Each sees all cores, as XLA splits products by their number and bytes depend on it.

    Raises UserError for a number below 1, and for several processes where an accelerator is, which one takes whole.
    """
    if jobs < 1:
        raise UserError(f"--jobs={jobs}\nexpected at least 1")
    if jobs == 1:
        return engines.Engine(_in_turn)
    import jax

    if (platform := jax.default_backend()) != "cpu":
        raise UserError(f"--jobs={jobs} on a {platform}\nexpected --jobs=1: one process takes all devices")
    return engines.Engine(functools.partial(_in_processes, jobs), jobs)


def _in_turn(tasks, ended):
    from ae_jax.experiments import hooks
    from ae_jax.sweeps import lockstep

    stop = hooks.Stop()
    try:
        for number, task in enumerate(tasks):
            engines.announce(number, tasks)
            if not lockstep.train_task(task, lambda: stop.requested):
                return False
            ended()
    finally:
        stop.restore()
    return True


def _in_processes(jobs, tasks, ended):
    from ae_jax.experiments import hooks

    context = multiprocessing.get_context("spawn")  # a fork of JAX's threads may hang
    stop, stopping = hooks.Stop(), context.Event()
    pool = futures.ProcessPoolExecutor(jobs, context, _begin, (engines.settings(), stopping))
    going, whole = {pool.submit(_train, number, tasks) for number in range(len(tasks))}, True
    try:
        while going:
            done, going = futures.wait(going, timeout=0.2, return_when=futures.FIRST_COMPLETED)
            for one in done:
                whole &= one.result()
                ended()
            if stop.requested:
                stopping.set()
    except futures.process.BrokenProcessPool:
        for process in multiprocessing.active_children():  # SIGTERM, by which the pool ends them, only tells them
            process.kill()
        raise RunFailed("a process that trained a program died\nthe same command goes on from there") from None
    finally:
        stopping.set()
        pool.shutdown(cancel_futures=True)
        stop.restore()
    return whole


_terminated: list[bool] = []  # of this process, once it was asked to end


def _begin(settings, stopping):
    """What a fresh process does first."""
    global _stopping
    _stopping = stopping
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C reaches all; the first process tells the others
    signal.signal(signal.SIGTERM, lambda *_: _terminated.append(True))  # as Slurm sends it to all
    engines.settle(settings)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent():
    """Two sweeps must not train the same program: when the process that leads is killed, so are the others."""
    multiprocessing.parent_process().join()
    os._exit(1)


def _train(number, tasks):
    from ae_jax.sweeps import lockstep

    stopping = lambda: bool(_terminated) or _stopping.is_set()
    if stopping():
        return False
    engines.announce(number, tasks)
    return lockstep.train_task(tasks[number], stopping)
