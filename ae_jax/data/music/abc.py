"""Tunes in ABC notation (abcnotation.com/wiki/abc:standard:v2.1), the part of it that makes a melody.

Repeats and endings are read once, as written; grace notes and decorations are left out; of a chord the highest note
stays, and of several voices the first. What is not understood is skipped.
"""

import functools
import re

import numpy as np

from ae_jax.data.music.events import SEMITONES, STEPS, Melody

_LENGTH = r"\d*(?:/+\d*)?"
_NOTE = rf"(?P<accidental>[\^_=]*)(?P<letter>[A-Ga-g])(?P<octave>[,']*)(?P<length>{_LENGTH})"
_INSIDE_CHORD = re.compile(_NOTE)
_OLD_CHORD = r"\+(?!f+\+)(?P<old>(?:[\^_=]*[A-Ga-g][,'\d/]*)+)\+"  # of ABC 1.6, as +CEG+; +ff+ is a decoration
_TOKEN = re.compile(
    rf"""^(?P<field>(?![A-Za-z]:\||[A-Ga-gxz]::)[A-Za-z+]:.*) | %.* | "[^"\n]*" | ![^!\s]*! | \{{[^}}]*\}} |
    \[(?P<inline>[A-Za-z]:[^\]]*)\] |
    (?P<note>{_NOTE}) |
    (?P<chord>(?:\[(?P<inside>[^\]|:]*[A-Ga-g][^\]|:]*)\]|{_OLD_CHORD})(?P<chord_length>{_LENGTH})) | \+[^+\s]*\+ |
    (?P<rest>[zxZ](?P<rest_length>{_LENGTH})) |
    (?P<barline>:*\|[\]:|]*|::+) |
    (?P<broken>>+|<+) |
    (?P<tuplet>\((?P<p>[2-9])(?::(?P<q>\d*))?(?::(?P<r>\d*))?) |
    (?P<tie>-)""",
    re.VERBOSE | re.MULTILINE,
)
_MIDDLE_C = 60
_SHARPS = "FCGDAEB"  # in the order in which key signatures have them
_KEY = re.compile(r"\s*([A-G])([#b]?)\s*([A-Za-z]*)")
_MODES = {"lyd": 1, "mix": -1, "dor": -2, "min": -3, "m": -3, "aeo": -3, "phr": -4, "loc": -5}  # else major
_IN_TIME_OF = {2: 3, 3: 2, 4: 3, 6: 2, 8: 3}  # tuplets; the others take the time of two, or of three in compound metre


def read(text: str) -> list[list[Melody]]:
    """The tunes of a file's text; each a list of stretches of one metre."""
    return [_Reader().read(tune) for tune in re.split(r"(?m)^X:", text)[1:]]


@functools.cache
def _length(text: str) -> float:
    """What a note's length such as "3/2", "/" or "//" multiplies the unit by."""
    number, slash, rest = text.partition("/")
    divisor = int(rest.lstrip("/") or 2 ** len(slash + rest))
    return int(number or 1) / max(divisor, 1)


@functools.cache
def _natural(letter: str, octave: str) -> tuple[str, int]:
    """(letter, MIDI pitch of its natural) of a written note such as "c" and "'"."""
    octaves = letter.islower() + octave.count("'") - octave.count(",")
    return letter.upper(), _MIDDLE_C + SEMITONES[letter.upper()] + 12 * octaves


@functools.cache
def _signature(text: str) -> dict[str, int]:
    """{letter: semitones up} of a key such as "Bb", "F#m", "D Mixolydian" or "D =c"."""
    signature = dict.fromkeys(SEMITONES, 0)
    if key := _KEY.match(text):
        letter, sign, mode = key.groups()
        fifths = _SHARPS.index(letter) - 1 + {"#": 7, "b": -7}.get(sign, 0)
        fifths += _MODES.get(mode if len(mode) == 1 else mode[:3].lower(), 0)
        for place in range(abs(fifths)):
            signature[_SHARPS[place % 7] if fifths > 0 else _SHARPS[::-1][place % 7]] += 1 if fifths > 0 else -1
        text = text[key.end() :]
    for accidental, letter in re.findall(r"([\^_=]+)([A-Ga-g])", text):
        signature[letter.upper()] = accidental.count("^") - accidental.count("_")
    return signature


@functools.cache
def _metre(text: str) -> tuple[float, bool]:
    """(sixteenths in a bar, whether the metre is compound) of "C|" or "6/8"; 0 for none."""
    text = {"C": "4/4", "C|": "2/2"}.get(text.strip(), text)
    numbers = re.search(r"(\d+)/(\d+)", text)
    if not numbers or not int(numbers[2]):
        return 0.0, False
    return STEPS * int(numbers[1]) / int(numbers[2]), int(numbers[1]) in (6, 9, 12)


class _Reader:
    """What has been read of a tune: notes as [onset, duration, pitch], and what bears on those to come."""

    def __init__(self):
        self.melodies, self.voice, self.heard, self.in_body = [], None, True, False
        self.bar, self.compound, self.unit, self.signature = 0.0, False, None, _signature("C")
        self._begin()

    def read(self, tune: str) -> list[Melody]:
        for token in _TOKEN.finditer(tune):
            kind = token.lastgroup
            if kind and (self.in_body and self.heard or kind in ("field", "inline")):
                getattr(self, kind)(token)
        self._end()
        return self.melodies

    def _begin(self) -> None:
        self.notes, self.barlines, self.position = [], [], 0.0
        self.altered = {}  # {letter: semitones up}, to the end of the bar
        self.sounding, self.written, self.tied = None, "", False  # the last note, None after a rest; a tie after it
        self.last, self.next_factor = 0.0, 1.0  # duration of the last note or rest; of the next one in a broken rhythm
        self.factor, self.in_tuplet = 1.0, 0  # of how many notes or rests

    def _end(self) -> None:
        if self.notes:
            melody = Melody(np.array(self.notes, float), np.array(self.barlines, float), self.bar, self.position)
            self.melodies.append(melody)
        self._begin()

    def field(self, token: re.Match) -> None:
        name, content = token[token.lastgroup][0], token[token.lastgroup][2:].partition("%")[0]
        if name == "K":
            self.signature, self.in_body = _signature(content), True
            if self.unit is None:
                self.unit = 1.0 if 0 < self.bar < 0.75 * STEPS else 2.0
        elif name == "L" and (unit := _metre(content)[0]):
            self.unit = unit
        elif name == "M":
            if _metre(content)[0] != self.bar:
                self._end()
            self.bar, self.compound = _metre(content)
        elif name == "V" and self.in_body:
            voice = content.split()[:1]
            self.voice = self.voice or voice
            self.heard = voice == self.voice

    inline = field

    def barline(self, token: re.Match) -> None:
        self.barlines.append(self.position)
        self.altered.clear()

    def note(self, token: re.Match) -> None:
        written, pitch = token["letter"] + token["octave"], self._pitch(token)
        duration = self._advance(token["length"])
        if self.tied and written == self.written and (not token["accidental"] or pitch == self.sounding[2]):
            self.sounding[1] += duration
        else:
            self._sound(duration, pitch)
        self.written, self.tied = written, False

    def chord(self, token: re.Match) -> None:
        inside = list(_INSIDE_CHORD.finditer(token["inside"] or token["old"]))
        pitch = max(map(self._pitch, inside))
        duration = self._advance(token["chord_length"], _length(inside[0]["length"]))
        if not (self.tied and pitch == self.sounding[2]):
            self._sound(duration, pitch)
        else:
            self.sounding[1] += duration
        self.written, self.tied = "", False

    def rest(self, token: re.Match) -> None:
        bars = token[0].startswith("Z")
        self._advance(token["rest_length"], self.bar / self.unit if bars else 1.0)
        self.sounding, self.tied = None, False

    def tie(self, token: re.Match) -> None:
        self.tied = self.sounding is not None

    def tuplet(self, token: re.Match) -> None:
        p = int(token["p"])
        self.factor = int(token["q"] or _IN_TIME_OF.get(p, 3 if self.compound else 2)) / p
        self.in_tuplet = int(token["r"] or p)

    def broken(self, token: re.Match) -> None:
        """Makes the last note longer and the next one shorter by the same share, or the reverse."""
        share = 1 - 0.5 ** len(token[0])
        share = share if token[0][0] == ">" else -share
        self.position += share * self.last
        if self.sounding is not None:
            self.sounding[1] += share * self.last
        self.next_factor = 1 - share

    def _pitch(self, note: re.Match) -> int:
        letter, natural = _natural(note["letter"], note["octave"])
        if accidental := note["accidental"]:
            self.altered[letter] = accidental.count("^") - accidental.count("_")
        return natural + self.altered.get(letter, self.signature[letter])

    def _sound(self, duration: float, pitch: int) -> None:
        self.sounding = [self.position - duration, duration, pitch]
        self.notes.append(self.sounding)

    def _advance(self, length: str, factor: float = 1.0) -> float:
        """Moves on by a note of this written length; what it lasts, in sixteenths."""
        duration = self.unit * _length(length) * factor * self.factor * self.next_factor
        self.position += duration
        self.last, self.next_factor = duration, 1.0
        self.in_tuplet -= 1
        if self.in_tuplet <= 0:
            self.factor = 1.0
        return duration
