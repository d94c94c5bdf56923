"""Lock a directory for one writer: its file `lock` names the host, process and time.

The kernel's lock on that file (flock) ends with its process, whatever kills it, and most network file systems pass it
on to other hosts. Some keep it to one host, and some have none. The contents of the file decide there: the writer
touches it regularly, and a lock of another machine that was not touched for a while is stale.
"""

import contextlib
import datetime
import errno
import fcntl
import json
import os
import pathlib
import socket
import threading
import uuid
from collections.abc import Iterator
from typing import Any

from ae_jax.core import files
from ae_jax.core.errors import RunFailed, UserError
from ae_jax.devices import processes

NAME = "lock"
# Seconds between two touches, and seconds without one after which a lock of another machine is stale.
_BEAT = 30.0
_STALE = 300.0


@contextlib.contextmanager
def held(workdir: str | os.PathLike, flag: str = "--workdir") -> Iterator[None]:
    """Hold the lock of a directory, which is made if it does not exist.

    Args:
      workdir: the directory. If it was made here and nothing was written into it, it is removed again.
      flag: the flag by which the user can name another directory, for the errors.

    Raises:
      UserError: another process writes in this directory, or nothing can be written there.
      RunFailed: the disk is full.
    """
    folder = pathlib.Path(workdir).absolute()
    made = _make(folder, flag)
    try:
        file = _acquire(folder, flag)
        stop = threading.Event()
        beating = threading.Thread(target=_beat, args=(file, stop), daemon=True)
        beating.start()
        try:
            files.clear_temporary(folder)
            yield
        finally:
            stop.set()
            # The thread ends before the file is closed. The kernel gives the number of a closed descriptor to the next
            # file that is opened, which the thread would then touch.
            beating.join()
            # The file is removed while it is locked. Once it is closed, it may be the lock of another process.
            with contextlib.suppress(OSError):  # the disk has become read-only, or the directory was deleted
                (folder / NAME).unlink()
            os.close(file)
    finally:
        for path in made:
            with contextlib.suppress(OSError):  # it is in use
                path.rmdir()


def check_shared(workdir: str) -> None:
    """Check that all processes share a directory; raise UserError in all of them otherwise.

    The first process makes a file there, which every process looks for; it is removed again.
    """
    if processes.count() == 1:
        return
    folder = pathlib.Path(workdir).absolute()
    new: list[pathlib.Path] = []
    # The name is random, so that no file of an earlier attempt is mistaken for it.
    probe = folder / processes.exchange(f".met-{uuid.uuid4().hex}")[0]
    with processes.agreeing():
        if processes.leads():
            new = _make(folder)
            probe.touch()
    seen = probe.exists()
    try:
        unshared = f"workdir {workdir!r} is not the folder that process 0 has there\nexpected one that all hosts share"
        processes.exchange(None, "" if seen else unshared)
    finally:
        if processes.leads():
            probe.unlink()
            for path in new:
                path.rmdir()


def _make(folder: pathlib.Path, flag: str = "--workdir") -> list[pathlib.Path]:
    """Make a folder with its parents, and return those that were missing, the innermost first."""
    missing = [path for path in (folder, *folder.parents) if not os.path.exists(path)]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(folder, error, flag) from None
    return missing


def _acquire(folder: pathlib.Path, flag: str) -> int:
    """Lock the file of a folder, write into it who holds it, and return its descriptor."""
    path = folder / NAME
    while True:
        try:
            # A link could lead to any file of the user, which would be overwritten here.
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise _unwritable(folder, error, flag) from None
        try:
            locks_work = _flock(file)
            holder = _read(file)
            if locks_work is False or (holder and _may_live(holder, file, bool(locks_work))):
                cure = f"wait for its end, or use another {flag}{_hint(holder, path)}"
                raise UserError(f"{str(folder)!r} is being written by {_words(holder)}\n{cure}")
            # The previous holder may have removed the file between the two calls above.
            if not _is_at(file, path):
                os.close(file)
                continue
            # The file is not replaced by a rename, because the kernel's lock belongs to this inode.
            os.ftruncate(file, 0)
            os.pwrite(file, json.dumps(_own()).encode(), 0)
        except OSError as error:
            os.close(file)
            raise _unwritable(folder, error, flag) from None
        except UserError:
            os.close(file)
            raise
        return file


def _flock(file: int) -> bool | None:
    """Try to lock a file: True if it worked, False if it is held, None without locks."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _is_at(file: int, path: pathlib.Path) -> bool:
    """Return whether an open file is still the one at a path."""
    try:
        return os.path.samestat(os.fstat(file), os.stat(path, follow_symlinks=False))
    except OSError:
        return False


def _unwritable(folder: pathlib.Path, error: OSError, flag: str) -> Exception:
    """Return the error for a folder in which nothing can be written."""
    why = f"{str(folder)!r} cannot be written: {error.strerror or error}"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return RunFailed(f"{why}\nmake room and run the same command again")
    return UserError(f"{why}\ntry another {flag}, on a writable disk")


# --- who holds a lock -------------------------------------------------------------------------------------------------


def _own() -> dict[str, Any]:
    """Return what a lock says of this process."""
    time = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    pid = os.getpid()
    return {"host": socket.gethostname(), "pid": pid, "time": time, "machine": _machine(), "started": _started(pid)}


def _machine() -> str:
    """Identify this boot of this machine and the namespace of its process numbers."""
    try:
        boot = pathlib.Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:  # not Linux
        return socket.gethostname()


def _started(pid: int) -> str:
    """Return when a process started, in ticks of the kernel's clock; "" if unknown.

    The numbers of processes are used again, and the time tells two with the same number apart.
    """
    try:
        # The name of the program is in brackets and may hold spaces and brackets, so fields are counted from its end.
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def _read(file: int) -> dict[str, Any]:
    """Return what a lock says of its holder; {} if it says nothing that can be read."""
    try:
        holder = json.loads(os.pread(file, 4096, 0))
    except ValueError:
        return {}
    return holder if isinstance(holder, dict) and isinstance(holder.get("pid"), int) else {}


def _may_live(holder: dict[str, Any], file: int, locks_work: bool) -> bool:
    """Return whether the named process may still write, where the kernel did not refuse."""
    if holder.get("machine") == _machine():
        return not locks_work and _is_running(holder)
    beaten = os.fstat(file).st_mtime
    if holder.get("host") == socket.gethostname() and beaten < _booted():
        return False  # this machine was started again since
    # The time of the file system itself, because the clocks of two machines may differ.
    os.utime(file)
    now = os.fstat(file).st_mtime
    os.utime(file, (beaten, beaten))
    return now - beaten < _STALE


def _is_running(holder: dict[str, Any]) -> bool:
    """Return whether a process of this machine is running."""
    try:
        # Signal 0 is not delivered. The call only checks that the process exists.
        os.kill(holder["pid"], 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass  # it is another user's
    return holder.get("started", "") == _started(holder["pid"])


def _booted() -> float:
    """Return when this machine was started, in seconds since the epoch; 0 if unknown."""
    try:
        lines = pathlib.Path("/proc/stat").read_text().splitlines()
        return float(next(line.split()[1] for line in lines if line.startswith("btime ")))
    except (OSError, StopIteration):
        return 0.0


def _words(holder: dict[str, Any]) -> str:
    if not holder:
        return "another process"
    return f"process {holder['pid']} on {str(holder.get('host'))[:100]!r} since {str(holder.get('time'))[:40]}"


def _hint(holder: dict[str, Any], path: pathlib.Path) -> str:
    """Return what to do if the process is gone; "" for one that is known to run."""
    if not holder or holder.get("machine") == _machine():
        return ""
    return f"; if that process is gone, delete {path}"


def _beat(file: int, stop: threading.Event) -> None:
    """Touch a lock regularly until told to stop."""
    while not stop.wait(_BEAT):
        # A failed touch must not end the training. The next one may succeed long before the lock looks stale.
        with contextlib.suppress(OSError):
            os.utime(file)
