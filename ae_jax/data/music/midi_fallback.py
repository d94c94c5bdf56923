"""Read MIDI files that mido refuses, up to the first damage of each track.

mido loses a whole file at its first bad byte, the tracks that the header does not count, and the time before a meta
message that it does not know. The format is RP-001, "Standard MIDI Files 1.0", 1996.
"""

import io
import struct
from collections.abc import Iterator
from typing import Any

from ae_jax.core.errors import UserError

REMEDY = "export it again as a Standard MIDI File (.mid)"
_NAME, _END, _METRE = 0x03, 0x2F, 0x58  # meta messages
_MOST_HALVINGS = 6  # a time signature's beat is a whole note halved so often; more is damage


class DamagedError(Exception):
    """Raised where a track cannot be read further; the message says why."""


def read(data: bytes, name: str) -> tuple[int, list[Iterator[tuple[int, Any]]]]:
    """Return the header's division, and for each track an iterator over (tick, mido message).

    An iterator raises DamagedError where its track is damaged.

    Raises:
        UserError: the data have no complete header. The message says so of the file `name`.
    """
    start = data.find(b"MThd")
    if start < 0:
        raise UserError(f"{name} is no MIDI file: it has no header MThd\n{REMEDY}")
    if len(data) < start + 14:
        raise UserError(f"{name} is no MIDI file: it ends in its header MThd\n{REMEDY}")
    (division,) = struct.unpack_from(">h", data, start + 12)
    return division, [_messages(track) for track in _tracks(data, start + 14)]


def _tracks(data: bytes, start: int) -> Iterator[bytes]:
    """Yield the content of each track.

    The length that a chunk claims is believed only where another track or the end of the file follows it.
    """
    start = data.find(b"MTrk", start)
    while start >= 0:
        end = start + 8 + int.from_bytes(data[start + 4 : start + 8])
        if end != len(data) and data[end : end + 4] != b"MTrk":
            following = data.find(b"MTrk", start + 8)
            end = following if following >= 0 else len(data)
        yield data[start + 8 : end]
        start = data.find(b"MTrk", end)


def _messages(track: bytes) -> Iterator[tuple[int, Any]]:
    """Yield (tick, mido message) for the notes and the meta messages of a track."""
    import mido

    file = io.BytesIO(track)
    tick = running = 0
    while file.tell() < len(track):
        tick += _number(file)
        status = _take(file, 1)[0]
        if status < 0x80:  # this is a data byte: the message has the status of the one before
            status = running
            file.seek(-1, io.SEEK_CUR)
        if status == 0xFF:
            kind = _take(file, 1)[0]
            yield tick, _meta(kind, _take(file, _number(file)))
        elif status in (0xF0, 0xF7):  # system exclusive
            _take(file, _number(file))
        elif 0x80 <= status < 0xF0:
            running = status
            content = _take(file, 1 if status & 0xE0 == 0xC0 else 2)
            if max(content) > 0x7F:
                raise DamagedError(f"a note's byte is {max(content)}")
            if status < 0xA0:
                yield tick, mido.Message.from_bytes([status, *content])
        elif not status:
            raise DamagedError("it begins without a status")


def _meta(kind: int, content: bytes) -> Any:
    """Return the mido message of a name, a time signature or the end of a track.

    Any other meta message is an unknown one.
    """
    import mido

    if kind == _END:
        return mido.MetaMessage("end_of_track")
    if kind == _NAME:
        return mido.MetaMessage("track_name", name=content.decode("latin-1"))
    if kind == _METRE and len(content) > 1 and content[1] <= _MOST_HALVINGS:
        return mido.MetaMessage("time_signature", numerator=content[0], denominator=2 ** content[1])
    return mido.UnknownMetaMessage(kind, content)


def _number(file: io.BytesIO) -> int:
    """Return a number written in up to four bytes of seven bits each."""
    number = 0
    for _ in range(4):
        byte = _take(file, 1)[0]
        number = number << 7 | byte & 0x7F
        if byte < 0x80:
            return number
    raise DamagedError("a number is longer than four bytes")


def _take(file: io.BytesIO, size: int) -> bytes:
    """Return the next bytes of a track, or raise DamagedError where fewer are left."""
    content = file.read(size)
    if len(content) < size:
        raise DamagedError("it ends early")
    return content
