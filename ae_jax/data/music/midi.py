"""Standard MIDI files and the notes in them, in musical time: tempo changes move nothing.

What is damaged ends a track, and the notes before it are used; the lengths that chunks claim are believed only where
another chunk follows. (RP-001, "Standard MIDI files 1.0", 1996.)
"""

import collections
import dataclasses
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ae_jax.core.errors import UserError
from ae_jax.data.music import events
from ae_jax.data.music.events import STEPS, Melody

SUFFIXES = (".mid", ".midi")
_DRUMS = 9  # the channel of percussion
_DIVISION = 480  # ticks a quarter in files written here
_TICKS = _DIVISION // 4  # a sixteenth
_NAME, _END, _TEMPO, _METRE = 0x03, 0x2F, 0x51, 0x58
_LONGEST = 2**20  # quarters that a file may last: 145 hours at 120 a minute
_CHORDS = 0.1  # share of notes that begin together with another, above which a voice is no melody


@dataclasses.dataclass(frozen=True)
class Voice:
    """What one channel of one track plays."""

    track: int
    channel: int
    name: str  # the track's, "" where it has none
    notes: np.ndarray  # [N, 3] float: onset and duration in sixteenths, MIDI pitch; sorted by onset

    def __str__(self) -> str:
        return f"track {self.track}, channel {self.channel}: {self.name or 'no name'}, {len(self.notes)} notes"

    @property
    def is_melodic(self) -> bool:
        """Whether hardly any of its notes begin together, and it is no percussion."""
        _, counts = np.unique(self.notes[:, 0], return_counts=True)
        return self.channel != _DRUMS and counts[counts > 1].sum() <= _CHORDS * len(self.notes)


@dataclasses.dataclass(frozen=True)
class Score:
    """A file's voices, in the order of tracks and channels, and its metres."""

    voices: list[Voice]
    metres: list[tuple[float, float]]  # (where it begins, length of a bar), in sixteenths
    damage: str = ""  # which track cannot be read to its end, and why


class _DamagedError(Exception):
    """A track cannot be read further."""


def read(file: Path) -> Score:
    """The score of a MIDI file. Raises UserError, naming file and reason, where no note of it can be read."""
    try:
        return parse(Path(file).read_bytes(), str(file))
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror}") from None


def parse(data: bytes, name: str = "this MIDI file") -> Score:
    """The score in the bytes of the file `name`. Raises UserError as `read` does."""
    start = data.find(b"MThd")
    if start < 0 or len(data) < start + 14:
        raise UserError(f"{name} is no MIDI file: {'it has no' if start < 0 else 'it ends in its'} header MThd")
    quarter = _quarter(*struct.unpack_from(">bB", data, start + 12))
    if not quarter:
        raise UserError(f"{name} cannot be read: its header MThd says that a quarter has 0 ticks")
    voices, metres, damage = [], [], ""
    for number, track in enumerate(_tracks(data, start + 14)):
        reader = _Track(_LONGEST * quarter)
        try:
            reader.read(track)
        except (_DamagedError, IndexError) as error:
            reason = error if isinstance(error, _DamagedError) else "it ends early"
            damage = damage or f"track {number} is damaged: {reason}"
        voices += reader.voices(number, 4 / quarter)
        metres += [(tick * 4 / quarter, bar) for tick, bar in reader.metres]
    if not voices:
        raise UserError(f"{name} has no notes{'; ' * bool(damage)}{damage}")
    return Score(voices, sorted(metres), damage)


def _quarter(high: int, low: int) -> float:
    """Ticks a quarter, by the header's last two bytes; frames and their parts at 120 quarters a minute."""
    return -high * low / 2 if high < 0 else 256 * high + low


def _tracks(data: bytes, start: int) -> Iterator[bytes]:
    start = data.find(b"MTrk", start)
    while start >= 0:
        end = start + 8 + int.from_bytes(data[start + 4 : start + 8])
        if end != len(data) and data[end : end + 4] != b"MTrk":
            following = data.find(b"MTrk", start + 8)
            end = following if following >= 0 else len(data)
        yield data[start + 8 : end]
        start = data.find(b"MTrk", end)


class _Track:
    """What has been read of a track."""

    def __init__(self, longest: float):
        self.longest, self.tick, self.name, self.metres = longest, 0, "", []
        self.open = collections.defaultdict(collections.deque)  # {(channel, pitch): onsets of notes that sound}
        self.notes = collections.defaultdict(list)  # {channel: [onset, end, pitch] in ticks}

    def read(self, data: bytes) -> None:
        for tick, status, first, rest in _messages(data):
            if tick > self.longest:
                raise _DamagedError("it lasts for days")
            self.tick, key = tick, (status & 0x0F, first)
            if status & 0xF0 == 0x90 and rest:
                self.open[key].append(self.tick)
            elif status & 0xE0 == 0x80 and self.open[key]:  # a note-off, or an onset of velocity 0
                self.notes[key[0]].append((self.open[key].popleft(), self.tick, first))
            elif status == 0xFF and first == _NAME:
                self.name = self.name or rest.decode("utf-8", "replace").strip("\0 ")
            elif status == 0xFF and first == _METRE and len(rest) > 1 and rest[0] and rest[1] <= 6:
                self.metres.append((self.tick, STEPS * rest[0] / 2.0 ** rest[1]))

    def voices(self, number: int, scale: float) -> list[Voice]:
        """Its channels; a note that nothing ends goes on to where the track ends."""
        for (channel, pitch), onsets in self.open.items():
            self.notes[channel] += [(onset, self.tick, pitch) for onset in onsets]
        found = []
        for channel in sorted(self.notes):
            notes = np.array(sorted(self.notes[channel]), float).reshape(-1, 3)
            notes = np.column_stack([notes[:, 0] * scale, (notes[:, 1] - notes[:, 0]) * scale, notes[:, 2]])
            if (notes[:, 1] > 0).any():
                found.append(Voice(number, channel, self.name, notes[notes[:, 1] > 0]))
        return found


def _messages(data: bytes) -> Iterator[tuple[int, int, int, int | bytes]]:
    """(tick, status, first byte, second byte or text) of a track's notes and meta messages."""
    position = tick = running = 0
    while position < len(data):
        delta, position = _variable(data, position)
        tick += delta
        status = data[position]
        if status < 0x80:
            status, position = running, position - 1  # the status stays what it was
        position += 1
        if status >= 0xF0:
            kind, position = (data[position], position + 1) if status == 0xFF else (0, position)
            size, position = _variable(data, position) if status in (0xF0, 0xF7, 0xFF) else (0, position)
            if position + size > len(data):
                raise IndexError
            if status == 0xFF:
                yield tick, status, kind, data[position : position + size]
                if kind == _END:
                    return
            position += size
        elif status:
            running, size = status, 1 if status & 0xE0 == 0xC0 else 2
            first, second = data[position], data[position + size - 1]
            if max(first, second) > 0x7F:
                raise _DamagedError(f"a note's byte is {max(first, second)}")
            if status < 0xA0:
                yield tick, status, first, second
            position += size
        else:
            raise _DamagedError("it begins without a status")


def _variable(data: bytes, position: int) -> tuple[int, int]:
    """(number in bytes of seven bits, the place after it)."""
    number = 0
    for place in range(position, position + 4):
        number = number << 7 | data[place] & 0x7F
        if data[place] < 0x80:
            return number, place + 1
    raise _DamagedError("a number is longer than four bytes")


def melodies(score: Score, voice: Voice) -> list[Melody]:
    """A voice as one line, its times rounded to sixteenths, in stretches of one metre (4/4 where none is given)."""
    onset = np.rint(voice.notes[:, 0])
    end = np.maximum(np.rint(voice.notes[:, 0] + voice.notes[:, 1]), onset + 1)
    notes = events.monophonic(np.column_stack([onset, end - onset, voice.notes[:, 2]]))
    metres = {0.0: float(STEPS)}
    for place, bar in score.metres:
        if bar != list(metres.values())[-1] or not place:
            metres[float(np.rint(place))] = bar
    found, edges = [], [*metres, max(end)]
    for start, stop, bar in zip(edges, edges[1:], metres.values()):
        inside = notes[(notes[:, 0] >= start) & (notes[:, 0] < stop)] - [start, 0, 0]
        if len(inside):
            found.append(Melody(inside, np.arange(0, stop - start, bar), bar, stop - start))
    return found


def grid(voice: Voice, rest: int = 0) -> np.ndarray:
    """A voice as one line on sixteenths, counted in bars of 4/4 whatever its metre, and then `rest` steps of silence:
    events [16 bars + rest] uint8. What is out of the range of `music.events` is left out.
    """
    onset, end = (np.rint(voice.notes[:, 0]), np.rint(voice.notes[:, 0] + voice.notes[:, 1]))
    whole = np.column_stack([onset, np.maximum(end - onset, 1), voice.notes[:, 2]]).astype(int)
    whole = whole[(whole[:, 2] >= events.LOWEST) & (whole[:, 2] <= events.HIGHEST)]
    bars = -(-int((whole[:, 0] + whole[:, 1]).max(initial=0)) // STEPS)
    return events.to_events(whole, STEPS * bars + rest)


def to_bytes(notes: np.ndarray, steps: int = 0, tempo: float = 120.0, program: int = 0) -> bytes:
    """A MIDI file of integer notes [N, 3] in sixteenths: one track, 4/4, `tempo` quarters a minute, `steps` long."""
    messages = [(0, b"\xff\x51\x03" + round(6e7 / tempo).to_bytes(3)), (0, b"\xff\x58\x04\x04\x02\x18\x08")]
    messages.append((0, bytes([0xC0, program])))
    on, off = bytes([0x90]), bytes([0x80])
    sounding = [(onset + duration, 0, pitch) for onset, duration, pitch in notes.tolist()]
    sounding += [(onset, 1, pitch) for onset, _, pitch in notes.tolist()]
    for time, begins, pitch in sorted(sounding):  # at one time, endings first
        messages.append((time * _TICKS, (on if begins else off) + bytes([pitch, 80 if begins else 0])))
    messages.append((max(messages[-1][0], steps * _TICKS), b"\xff\x2f\x00"))
    track, tick = bytearray(), 0
    for time, message in messages:
        track += _from_number(time - tick) + message
        tick = time
    return b"MThd" + struct.pack(">IHHH", 6, 0, 1, _DIVISION) + b"MTrk" + struct.pack(">I", len(track)) + track


def _from_number(number: int) -> bytes:
    """`_variable`, the other way round."""
    last = [number & 0x7F]
    while number := number >> 7:
        last.append(number & 0x7F | 0x80)
    return bytes(reversed(last))
