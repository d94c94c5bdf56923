"""Read and write Standard MIDI Files in sixteenths, so that changes of tempo move no note."""

import collections
import dataclasses
import io
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from ae_jax.core.errors import UserError
from ae_jax.data.music import events, midi_messages
from ae_jax.data.music.events import STEPS, Melody

SUFFIXES = (".mid", ".midi")
_DRUMS = 9  # General MIDI plays percussion on this channel
_TICKS_PER_QUARTER = 480  # in files written here
_TICKS_PER_STEP = _TICKS_PER_QUARTER // 4
_SIXTEENTH = 0.125  # seconds, where a file gives no tempo
_VELOCITY = 80  # of every note written here
_FINEST_BEAT = 64  # a time signature with a shorter beat than a 64th note is taken for damage
_LONGEST = 2**20  # quarters that a file may last: 145 hours at 120 quarters a minute
_CHORDS = 0.1  # a voice in which a greater share of notes begin together with another is no melody


@dataclasses.dataclass(frozen=True)
class Voice:
    """Hold the notes that one channel of one track plays.

    Attributes:
        track: the number of the track in the file, counted from 0.
        channel: the MIDI channel, 0 to 15.
        name: the name of the track, "" where it has none.
        notes: float [N, 3]: onset and duration in sixteenths, MIDI pitch; sorted by onset.
    """

    track: int
    channel: int
    name: str
    notes: np.ndarray

    def __str__(self) -> str:
        """Return the line that lists this voice for the user."""
        return f"track {self.track}, channel {self.channel}: {self.name or 'no name'}, {len(self.notes)} notes"

    @property
    def is_melodic(self) -> bool:
        """Tell whether the voice is a melody: no percussion, and hardly any chords.

        Times are rounded first, because the notes of a chord that somebody played never begin exactly together.
        """
        return self._has_few_chords(np.rint(self.notes[:, 0]))

    @property
    def was_melodic(self) -> bool:
        """Tell whether formats up to 2 take the voice for a melody: equal onsets are a chord."""
        return self._has_few_chords(self.notes[:, 0])

    def _has_few_chords(self, onsets: np.ndarray) -> bool:
        """Tell whether the voice is no percussion, and hardly any of its onsets are equal."""
        _, counts = np.unique(onsets, return_counts=True)
        in_chords = counts[counts > 1].sum()
        return self.channel != _DRUMS and bool(in_chords <= _CHORDS * len(self.notes))


@dataclasses.dataclass(frozen=True)
class Score:
    """Hold the voices and the metres of a file.

    Attributes:
        voices: in the order of tracks and channels.
        metres: (onset, length of a bar) of each time signature, in sixteenths, sorted.
        damage: the first track that could not be read completely, and the reason; "" for an undamaged file.
        tempos: (onset in sixteenths, seconds of a sixteenth) of each change of tempo, sorted.
    """

    voices: list[Voice]
    metres: list[tuple[float, float]]
    damage: str = ""
    tempos: list[tuple[float, float]] = dataclasses.field(default_factory=list)

    def seconds(self, positions: np.ndarray) -> np.ndarray:
        """Return the times in seconds of positions in the score.

        Args:
            positions: [N], in sixteenths. Until the first tempo there are 120 quarters a minute.
        """
        begin, lengths = np.array([(0.0, _SIXTEENTH), *self.tempos]).T
        times = np.append(0, np.cumsum(np.diff(begin) * lengths[:-1]))
        tempo = np.maximum(np.searchsorted(begin, positions, "right") - 1, 0)
        return times[tempo] + (positions - begin[tempo]) * lengths[tempo]


def read(file: Path) -> Score:
    """Read the score of a MIDI file.

    Raises:
        UserError: no note of the file can be read. The message names the file and the reason.
    """
    try:
        data = Path(file).read_bytes()
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror}") from None
    return parse(data, str(file))


def parse(data: bytes, name: str = "this MIDI file") -> Score:
    """Read the score of a MIDI file from its bytes.

    Args:
        data: the content of the file.
        name: the name of the file in error messages.

    Raises:
        UserError: no note of the file can be read.
    """
    division, tracks = midi_messages.read(data, name)
    quarter = _ticks_per_quarter(division)
    if not quarter:
        raise UserError(f"{name} has 0 ticks in a quarter, by its header MThd\n{midi_messages.REMEDY}")
    voices, metres, tempos, damage = [], [], [], ""
    steps_per_tick = STEPS / 4 / quarter
    for number, messages in enumerate(tracks):
        track = _Track(longest=_LONGEST * quarter)
        try:
            track.read(messages)
        except midi_messages.DamagedError as error:
            damage = damage or f"track {number} is damaged: {error}"
        voices += track.voices(number, steps_per_tick)
        metres += [(tick * steps_per_tick, bar) for tick, bar in track.metres]
        if division > 0:  # otherwise the ticks are parts of a second, whatever the tempo
            tempos += [(tick * steps_per_tick, seconds) for tick, seconds in track.tempos]
    if not voices:
        reason = f"; {damage}" if damage else ""
        raise UserError(f"{name} has no notes{reason}")
    return Score(voices, sorted(metres), damage, sorted(tempos))


def _ticks_per_quarter(division: int) -> float:
    """Return the ticks of a quarter by the header's division.

    Args:
        division: a signed 16-bit number. From 0 on it is the ticks of a quarter. Below 0 its high byte is minus the
            frames of a second, and its low byte is the ticks of a frame. A quarter then lasts half a second, as at 120
            quarters a minute.
    """
    if division >= 0:
        return division
    frames, ticks = divmod(division, 256)
    return -frames * ticks / 2


class _Track:
    """Collect the notes, the name and the time signatures of one track from its messages."""

    def __init__(self, longest: float):
        self.longest = longest  # in ticks
        self.tick = 0
        self.name = ""
        self.metres: list[tuple[int, float]] = []  # (tick, sixteenths in a bar)
        self.tempos: list[tuple[int, float]] = []  # (tick, seconds of a sixteenth)
        self.sounding: dict[tuple[int, int], collections.deque[int]] = {}  # {(channel, pitch): ticks of open onsets}
        self.notes: dict[int, list[tuple[int, int, int]]] = {}  # {channel: [(onset, end, pitch)]}, in ticks

    def read(self, messages: Iterable[tuple[int, Any]]) -> None:
        """Take in (tick, message) pairs.

        Raises:
            midi_messages.DamagedError: the track was not read completely. What came before is kept.
        """
        for tick, message in messages:
            if tick > self.longest:
                raise midi_messages.DamagedError("it lasts for days")
            self.tick = tick
            if message.type in ("note_on", "note_off"):
                self._take_note(message)
            elif message.type == "track_name" and not self.name:
                # mido decodes text as Latin-1, which keeps every byte; most programs write UTF-8.
                self.name = message.name.encode("latin-1").decode("utf-8", "replace").strip("\0 ")
            elif message.type == "time_signature" and message.numerator and message.denominator <= _FINEST_BEAT:
                self.metres.append((tick, STEPS * message.numerator / message.denominator))
            elif message.type == "set_tempo" and message.tempo:
                self.tempos.append((tick, message.tempo / 1e6 / 4))  # from microseconds of a quarter

    def _take_note(self, message: Any) -> None:
        """Open a note, or end the oldest open one of the same channel and pitch."""
        onsets = self.sounding.setdefault((message.channel, message.note), collections.deque())
        if message.type == "note_on" and message.velocity:
            onsets.append(self.tick)
        elif onsets:  # an onset of velocity 0 ends a note, too
            self._add(message.channel, onsets.popleft(), message.note)

    def _add(self, channel: int, onset: int, pitch: int) -> None:
        """Add a note that ends here."""
        self.notes.setdefault(channel, []).append((onset, self.tick, pitch))

    def voices(self, number: int, steps_per_tick: float) -> list[Voice]:
        """Return one voice for each channel with notes, and end the open notes where the track ends.

        Args:
            number: the track's number in the file.
            steps_per_tick: sixteenths in a tick.
        """
        for (channel, pitch), onsets in self.sounding.items():
            for onset in onsets:
                self._add(channel, onset, pitch)
        self.sounding.clear()
        found = []
        for channel in sorted(self.notes):
            begin, end, pitch = np.array(sorted(self.notes[channel]), float).T
            duration = (end - begin) * steps_per_tick
            notes = np.column_stack([begin * steps_per_tick, duration, pitch])[duration > 0]
            if len(notes):
                found.append(Voice(number, channel, self.name, notes))
        return found


def melodies(score: Score, voice: Voice) -> list[Melody]:
    """Return a voice as one melodic line, cut into stretches of one metre.

    Times are rounded to sixteenths. The metre is 4/4 until the score gives another.

    Args:
        score: the score that has the metres.
        voice: one of the score's voices.
    """
    rounded = events.rounded(voice.notes)
    notes = events.monophonic(rounded)
    bars = {0.0: float(STEPS)}  # {where a stretch begins: length of its bars}
    for place, bar in score.metres:
        # A time signature that repeats the metre begins no stretch. One at 0 replaces the 4/4 that is assumed.
        is_change = bar != list(bars.values())[-1]
        if is_change or not place:
            bars[float(np.rint(place))] = bar
    edges = [*bars, float((rounded[:, 0] + rounded[:, 1]).max())]
    found = []
    for start, stop, bar in zip(edges, edges[1:], bars.values()):
        is_inside = (notes[:, 0] >= start) & (notes[:, 0] < stop)
        if is_inside.any():
            length = stop - start
            found.append(Melody(notes[is_inside] - [start, 0, 0], np.arange(0, length, bar), bar, length))
    return found


def grid(voice: Voice, rest: int = 0, bar: int = STEPS) -> np.ndarray:
    """Return a voice as one melodic line on a grid of sixteenths, in whole bars.

    All bars are of one length, whatever the metre of the file. Pitches out of the range of `music.events` are left out.

    Args:
        voice: the voice, polyphonic or not.
        rest: steps of silence to add after the last bar.
        bar: the length of a bar in sixteenths.

    Returns:
        Events, uint8 [bar * bars + rest].
    """
    notes = events.rounded(voice.notes).astype(int)
    # Notes before the first beat of a file with beats: whole bars are put before it.
    notes[:, 0] += bar * max(-(int(notes[:, 0].min()) // bar), 0)
    pitch = notes[:, 2]
    notes = notes[(pitch >= events.LOWEST) & (pitch <= events.HIGHEST)]
    length = int((notes[:, 0] + notes[:, 1]).max(initial=0))
    bars = -(-length // bar)  # rounded up
    return events.to_events(notes, bar * bars + rest)


def to_bytes(notes: np.ndarray, steps: int = 0, tempo: float = 120.0, program: int = 0, bar: int = STEPS) -> bytes:
    """Return the content of a MIDI file of one track.

    Args:
        notes: int [N, 3]: onset and duration in sixteenths, MIDI pitch.
        steps: the least length of the file in sixteenths.
        tempo: quarters a minute.
        program: the General MIDI instrument, 0 to 127.
        bar: the length of a bar in sixteenths; 12 is written as 3/4.
    """
    import mido

    beat = math.gcd(bar, 4)  # sixteenths: a quarter, an eighth or a sixteenth

    track = mido.MidiTrack()
    track.append(mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(tempo)))
    track.append(mido.MetaMessage("time_signature", numerator=bar // beat, denominator=STEPS // beat))
    track.append(mido.Message("program_change", program=program))
    ends = [(onset + duration, "note_off", pitch) for onset, duration, pitch in notes.tolist()]
    onsets = [(onset, "note_on", pitch) for onset, _, pitch in notes.tolist()]
    now = 0
    # At one time the ends come first ("note_off" < "note_on"): a note may begin where one of its pitch ends.
    for step, kind, pitch in sorted(ends + onsets):
        velocity = _VELOCITY if kind == "note_on" else 0
        track.append(mido.Message(kind, note=pitch, velocity=velocity, time=(step - now) * _TICKS_PER_STEP))
        now = step
    track.append(mido.MetaMessage("end_of_track", time=max(steps - now, 0) * _TICKS_PER_STEP))
    file = io.BytesIO()
    mido.MidiFile(type=0, ticks_per_beat=_TICKS_PER_QUARTER, tracks=[track]).save(file=file)
    return file.getvalue()
