"""Read the messages of MIDI files.

mido reads every undamaged file. The reader below reads what mido refuses, up to the first damage of each track: mido
loses a whole file at its first bad byte, the tracks that the header does not count, and the time before a meta
message that it does not know. The format is RP-001, "Standard MIDI Files 1.0", 1996.
"""

import io
import struct
from collections.abc import Iterable, Iterator
from typing import Any

from ae_jax.core.errors import UserError

REMEDY = "export it again as a Standard MIDI File (.mid)"
_NAME, _END, _TEMPO, _METRE = 0x03, 0x2F, 0x51, 0x58  # meta messages
_SYSTEM_COMMON = {0xF1: 1, 0xF2: 2, 0xF3: 1}  # {status: bytes that follow}; none follow the others up to 0xFE
_MOST_HALVINGS = 6  # a time signature's beat is a whole note halved so often; more is damage


# mido 1.3 drops the delta time of meta messages that it does not know: the notes after them would come too early. The
# others may not stand in a file, so they come of damage.
_DOUBTFUL = {"unknown_meta", "quarter_frame", "songpos", "song_select", "tune_request"}


class DamagedError(Exception):
    """Raised where a track cannot be read further; the message says why."""


def read(data: bytes, name: str) -> tuple[int, list[Iterator[tuple[int, Any]]]]:
    """Return the header's division, and for each track an iterator over (tick, mido message).

    An iterator raises DamagedError where its track is damaged.

    Raises:
        UserError: the data have no complete header. The message says so of the file `name`.
    """
    return _by_mido(data) or _by_hand(data, name)


def _by_mido(data: bytes) -> tuple[int, list[Iterator[tuple[int, Any]]]] | None:
    """Return the header's division and the tracks as mido reads them; None where it fails.

    It fails, too, where it would lose something. Each track is an iterator over (tick, mido message).
    """
    import mido

    file = io.BytesIO(data)
    try:
        score = mido.MidiFile(file=file)
    except (OSError, EOFError, LookupError, ValueError, mido.KeySignatureError):
        return None
    # mido reads as many tracks as the header counts, and there may be more.
    is_whole = file.tell() == len(data)
    is_doubtful = any(message.type in _DOUBTFUL for track in score.tracks for message in track)
    if is_doubtful or not is_whole:
        return None
    return score.ticks_per_beat, [_with_ticks(track) for track in score.tracks]


def _with_ticks(messages: Iterable[Any]) -> Iterator[tuple[int, Any]]:
    """Yield (tick since the track's beginning, mido message) up to the end of the track."""
    tick = 0
    for message in messages:
        tick += message.time
        yield tick, message
        if message.type == "end_of_track":
            return


def _by_hand(data: bytes, name: str) -> tuple[int, list[Iterator[tuple[int, Any]]]]:
    """Return what `read` returns of a file that mido refuses."""
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
    """Yield (tick, mido message) for the notes and the meta messages of a track.

    A note whose pitch is above 127 is left out. Other bytes above 127, such as a velocity, are taken for 127. Messages
    of the system, which may not stand in a file, are skipped.

    Raises:
        DamagedError: the track cannot be read further, or a note of it was left out.
    """
    import mido

    file = io.BytesIO(track)
    tick = running = 0
    damage = ""
    while file.tell() < len(track):
        tick += _number(file)
        status = _take(file, 1)[0]
        if status < 0x80:  # this is a data byte: the message has the status of the one before
            status = running
            file.seek(-1, io.SEEK_CUR)
        if status == 0xFF:
            message = _meta(_take(file, 1)[0], _take(file, _number(file)))
            yield tick, message
            if message.type == "end_of_track":
                break
        elif status in (0xF0, 0xF7):  # system exclusive
            _take(file, _number(file))
        elif 0x80 <= status < 0xF0:
            running = status
            # Program changes (0xC0) and channel pressure (0xD0) have one data byte, and all others have two.
            content = _take(file, 1 if status & 0xE0 == 0xC0 else 2)
            if status >= 0xA0:
                continue
            pitch, velocity = content
            if pitch > 0x7F:
                damage = damage or f"a note has the pitch {pitch}, and is left out"
            else:
                yield tick, mido.Message.from_bytes([status, pitch, min(velocity, 0x7F)])
        elif status > 0xF0:
            _take(file, _SYSTEM_COMMON.get(status, 0))
        else:
            raise DamagedError("it begins without a status")
    if damage:
        raise DamagedError(damage)


def _meta(kind: int, content: bytes) -> Any:
    """Return the mido message of a name, a tempo, a time signature or the end of a track.

    Any other meta message is an unknown one.
    """
    import mido

    if kind == _END:
        return mido.MetaMessage("end_of_track")
    if kind == _NAME:
        return mido.MetaMessage("track_name", name=content.decode("latin-1"))
    if kind == _TEMPO and len(content) == 3:
        return mido.MetaMessage("set_tempo", tempo=int.from_bytes(content))
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
