"""Write files atomically, and without following links.

A directory may come from a stranger, who may have put links into it. Only the last component of a path is guarded: a
run directory, or its folder of checkpoints, may be a link to another disk.
"""

import contextlib
import errno
import json
import os
import pathlib
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from typing import IO

from ae_jax.core.errors import RunFailed

# The remedy of every command that has the flag --output.
ELSEWHERE = "make room, or name a folder on a writable disk by --output=DIR"
_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{16}\.tmp")


@contextlib.contextmanager
def atomic_write(path: pathlib.Path, flush: bool = False) -> Iterator[IO[bytes]]:
    """Open a binary file that appears under its name only when it is complete.

    Args:
      path: the file. If it is a link, the link is replaced, and the file that it points to stays as it is.
      flush: whether the contents are on disk before the file appears.

    Raises:
      OSError: the disk refuses.
    """
    # Renaming within a folder is atomic, unlike writing. The name is random and cannot be guessed:
    # nobody can have put a link there.
    temporary = path.with_name(f".{path.name[:200]}.{secrets.token_hex(8)}.tmp")
    try:
        with os.fdopen(_open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb") as file:
            yield file
            # A file system may store the new name before the contents. After a power failure the file would be empty.
            if flush:
                file.flush()
                os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        with contextlib.suppress(OSError):  # renamed, or on a disk that has become read-only
            temporary.unlink()


def clear_temporary(folder: pathlib.Path) -> None:
    """Remove what a killed `atomic_write` has left; nobody else may write in the folder."""
    for path in folder.glob(".*.tmp"):
        if _TEMPORARY.fullmatch(path.name):
            path.unlink(missing_ok=True)


def append(path: pathlib.Path, text: str) -> None:
    """Append whole lines to a file, flushed to disk; an unfinished last line is ended first.

    Raises:
      OSError: the file is a link, which is not followed, or the disk refuses.
    """
    # With O_APPEND, each write goes to the end of the file, wherever reading has left the position.
    with os.fdopen(_open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND), "ab+") as file:
        end = file.seek(0, os.SEEK_END)
        # A crash may have cut the last line short. It must not swallow the next one.
        if end:
            file.seek(-1, os.SEEK_END)
            if file.read() != b"\n":
                file.write(b"\n")
        file.write(text.encode())
        file.flush()
        os.fsync(file.fileno())


@contextlib.contextmanager
def naming_disk_errors(folder: pathlib.Path, remedy: str) -> Iterator[None]:
    """Turn the OSError of a full or read-only disk, within a `with` statement, into RunFailed.

    Args:
      folder: the folder that is written into.
      remedy: what the user can do.
    """
    try:
        yield
    except OSError as error:
        where = f"{error.filename or folder} cannot be written: {error.strerror or error}"
        raise RunFailed(f"{where}\n{remedy}") from None


def _open(path: pathlib.Path, flags: int) -> int:
    """Open a file for writing unless it is a link, and return its descriptor."""
    try:
        return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0), 0o666)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(errno.ELOOP, "it is a link, which is not followed; remove it", str(path)) from None
        raise


def as_lines(values: Iterable[Mapping[str, object]]) -> str:
    """Return JSON objects as text, a line each."""
    return "".join(f"{json.dumps(value)}\n" for value in values)


def parse_lines(content: bytes) -> tuple[list[dict[str, object]], int]:
    """Parse a text with a JSON object on each line.

    Returns:
      (the objects, how many lines are no JSON object). An unfinished last line is not counted: a crash cut it short.
    """
    lines: list[dict[str, object]] = []
    damaged = 0
    *whole, last = content.split(b"\n")
    for text in (*whole, last):
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            value = None
        if isinstance(value, dict):
            lines.append(value)
        elif text.strip() and text is not last:
            damaged += 1
    return lines, damaged
