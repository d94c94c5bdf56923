"""The top voice of a score in compressed MusicXML (www.w3.org/2021/06/musicxml40), such as a chorale's soprano."""

import zipfile
import zlib
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from ae_jax.core.errors import UserError
from ae_jax.data.music.events import SEMITONES, STEPS, Melody

_QUARTER = STEPS / 4


def read(file: Path) -> list[Melody]:
    """The first voice of the part called soprano, or else of the first part, as stretches of one metre.

    Repeats are read once; grace notes are left out; of a chord the first note stays. Raises UserError, naming the file,
    for one that holds no score.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            name = next(name for name in archive.namelist() if name.endswith("xml") and "META-INF" not in name)
            score = ElementTree.fromstring(archive.read(name))
    except (OSError, zipfile.BadZipFile, zlib.error, StopIteration, ElementTree.ParseError) as error:
        raise UserError(f"{file} cannot be read as compressed MusicXML: {error or 'it holds no score'}") from None
    names = {part.get("id"): part.findtext("part-name") or "" for part in score.iter("score-part")}
    parts = score.findall("part")
    if not parts:
        raise UserError(f"{file} holds no parts; expected a MusicXML score-partwise")
    return _Reader().read(
        next((part for part in parts if "soprano" in names.get(part.get("id"), "").lower()), parts[0])
    )


class _Reader:
    """What has been read of a part: notes as [onset, duration, pitch], and the place in the bar."""

    def __init__(self):
        self.melodies, self.bar, self.division, self.voice = [], 0.0, 1.0, None
        self._begin()

    def read(self, part: ElementTree.Element) -> list[Melody]:
        for measure in part.iter("measure"):
            self.barlines.append(self.position)
            for element in measure:
                if element.tag == "note":
                    self._note(element)
                elif element.tag == "attributes":
                    self._attributes(element)
                elif element.tag in ("backup", "forward"):
                    self.position += self._duration(element) * (1 if element.tag == "forward" else -1)
                self.furthest = max(self.furthest, self.position)
            self.position = self.furthest  # a voice that came after a backup may end sooner
        self._end()
        return self.melodies

    def _begin(self) -> None:
        self.notes, self.barlines, self.position, self.furthest, self.tied = [], [], 0.0, 0.0, False

    def _end(self) -> None:
        if self.notes:
            melody = Melody(np.array(self.notes, float), np.array(self.barlines, float), self.bar, self.position)
            self.melodies.append(melody)
        self._begin()

    def _attributes(self, element: ElementTree.Element) -> None:
        self.division = float(element.findtext("divisions") or self.division)
        time = element.find("time")
        if time is not None and time.findtext("beats", "").isdigit():
            bar = STEPS * int(time.findtext("beats")) / int(time.findtext("beat-type"))
            if bar != self.bar:
                self._end()
            self.bar = bar

    def _duration(self, element: ElementTree.Element) -> float:
        return _QUARTER * float(element.findtext("duration") or 0) / self.division

    def _note(self, note: ElementTree.Element) -> None:
        if note.find("chord") is not None or note.find("grace") is not None:
            return
        duration, pitch, voice = self._duration(note), note.find("pitch"), note.findtext("voice")
        self.position += duration
        self.voice = self.voice or voice
        if voice != self.voice:
            return
        ties = {tie.get("type") for tie in note.findall("tie")}
        if pitch is not None and "stop" in ties and self.tied:
            self.notes[-1][1] += duration
        elif pitch is not None:
            semitones = SEMITONES[pitch.findtext("step")] + int(float(pitch.findtext("alter") or 0))
            self.notes.append(
                [self.position - duration, duration, 12 * (int(pitch.findtext("octave")) + 1) + semitones]
            )
        self.tied = pitch is not None and "start" in ties
