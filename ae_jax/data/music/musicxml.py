"""Read one voice of a score in compressed MusicXML, such as the soprano of a chorale.

The standard is at www.w3.org/2021/06/musicxml40.
"""

import math
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from ae_jax.core import errors
from ae_jax.core.errors import UserError
from ae_jax.data.music.events import SEMITONES, STEPS, Melody

_QUARTER = STEPS / 4
# RuntimeError: an encrypted archive, or a compression that zipfile does not know. LookupError: an unknown encoding.
_UNREADABLE = (*errors.DAMAGED, RuntimeError, LookupError, ElementTree.ParseError)


class _DamagedError(Exception):
    """Raised where an element lacks a part of it, or has an impossible value."""


def read(file: Path) -> list[Melody]:
    """Read the melody of a score as stretches of one metre.

    The melody is the first voice of the part whose name contains "soprano", or else of the first part. Repeats are read
    once and grace notes are skipped. Of a chord, the note that is written first stays.

    Raises:
        UserError: the file holds no score, or a measure cannot be understood. The message names both.
    """
    parts, names = _parts(file)
    soprano = [part for part in parts if "soprano" in names.get(part.get("id"), "").lower()]
    return _Reader(file).read([*soprano, *parts][0])


def _parts(file: Path) -> tuple[list[ElementTree.Element], dict[str | None, str]]:
    """Return the part elements of a score, and {id: name} of its parts."""
    try:
        with zipfile.ZipFile(file) as archive:
            scores = [name for name in archive.namelist() if name.endswith("xml") and "META-INF" not in name]
            if not scores:
                raise zipfile.BadZipFile("it holds no score")
            score = ElementTree.fromstring(archive.read(scores[0]))
    except _UNREADABLE as error:
        raise UserError(f"{file} cannot be read as compressed MusicXML: {error}") from None
    parts = score.findall("part")
    if not parts:
        raise UserError(f"{file} holds no parts\nexport it again as a partwise MusicXML score")
    names = {part.get("id"): part.findtext("part-name") or "" for part in score.iter("score-part")}
    return parts, names


class _Reader:
    """Collect the melodies of one part. Places and durations are in sixteenths."""

    def __init__(self, file: Path):
        self.file = file  # for error messages
        self.melodies: list[Melody] = []
        self.bar = 0.0  # length of a bar by the metre; 0 before the first time signature
        self.division = 1.0  # a quarter's duration in the numbers of the file
        self.voice: str | None = None
        self._begin()

    def read(self, part: ElementTree.Element) -> list[Melody]:
        """Return the melodies of a part.

        Raises:
            UserError: a measure cannot be understood. The message names the measure.
        """
        for place, measure in enumerate(part.iter("measure"), 1):
            try:
                self._measure(measure)
            except _DamagedError as error:
                number = measure.get("number") or place
                raise UserError(
                    f"{self.file} is damaged in measure {number}: {error}\nexport it again as MusicXML"
                ) from None
        self._end()
        return self.melodies

    def _begin(self) -> None:
        """Begin a stretch of one metre."""
        self.notes: list[list[float]] = []  # [onset, duration, pitch]
        self.barlines: list[float] = []
        self.position = 0.0
        self.furthest = 0.0  # the greatest position of the measure
        self.is_tied = False  # whether a tie begins at the last note

    def _end(self) -> None:
        """End the stretch of one metre, and begin the next."""
        if self.notes:
            melody = Melody(np.array(self.notes, float), np.array(self.barlines, float), self.bar, self.position)
            self.melodies.append(melody)
        self._begin()

    def _measure(self, measure: ElementTree.Element) -> None:
        """Take in the notes of one measure, voice after voice."""
        self.barlines.append(self.position)
        for element in measure:
            if element.tag == "note":
                self._note(element)
            elif element.tag == "attributes":
                self._attributes(element)
            elif element.tag == "forward":
                self.position += self._duration(element)
            elif element.tag == "backup":
                self.position -= self._duration(element)
            self.furthest = max(self.furthest, self.position)
        # A voice that came after a backup may end before the others.
        self.position = self.furthest

    def _attributes(self, element: ElementTree.Element) -> None:
        """Take in the unit of durations and the metre. A change of metre begins another melody."""
        if element.find("divisions") is not None:
            self.division = _positive(element, "divisions")
        time = element.find("time")
        # Some scores have no beats ("senza misura"), or a sum such as 3+2: the metre stays what it was.
        if time is None or not (time.findtext("beats") or "").isdecimal():
            return
        bar = STEPS * _positive(time, "beats") / _positive(time, "beat-type")
        if bar != self.bar:
            self._end()
        self.bar = bar

    def _duration(self, element: ElementTree.Element) -> float:
        """Return the duration of an element; 0 where it has none, as a grace note."""
        if element.find("duration") is None:
            return 0.0
        return _QUARTER * _number(element, "duration") / self.division

    def _note(self, note: ElementTree.Element) -> None:
        """Move on by a note or rest, and keep a note of the melody's voice."""
        is_chord_or_grace = note.find("chord") is not None or note.find("grace") is not None
        if is_chord_or_grace:
            return
        duration = self._duration(note)
        self.position += duration
        voice = note.findtext("voice")
        self.voice = self.voice or voice
        if voice != self.voice:
            return
        pitch = note.find("pitch")
        ties = {tie.get("type") for tie in note.findall("tie")}
        if pitch is not None and "stop" in ties and self.is_tied:
            self.notes[-1][1] += duration
        elif pitch is not None:
            self.notes.append([self.position - duration, duration, _midi_pitch(pitch)])
        self.is_tied = pitch is not None and "start" in ties


def _midi_pitch(pitch: ElementTree.Element) -> int:
    """Return the MIDI pitch of a pitch element (60: middle C); quarter tones are cut off."""
    step = (pitch.findtext("step") or "").strip()
    if step not in SEMITONES:
        raise _DamagedError(f"<step> of a <pitch> is {step!r}, expected one of {', '.join(SEMITONES)}")
    alter = _number(pitch, "alter") if pitch.findtext("alter") else 0.0
    return 12 * (int(_number(pitch, "octave")) + 1) + SEMITONES[step] + int(alter)


def _number(element: ElementTree.Element, tag: str) -> float:
    """Return the finite number in a child element, or raise _DamagedError."""
    text = element.findtext(tag)
    if text is None:
        raise _DamagedError(f"<{element.tag}> has no <{tag}>")
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise _DamagedError(f"<{tag}> of a <{element.tag}> is {text!r}, expected a number")
    return number


def _positive(element: ElementTree.Element, tag: str) -> float:
    """Return the number above 0 in a child element, or raise _DamagedError."""
    number = _number(element, tag)
    if number <= 0:
        raise _DamagedError(f"<{tag}> of a <{element.tag}> is {number:g}, expected a number above 0")
    return number
