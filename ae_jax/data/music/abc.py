"""Read the melodies of tunes in ABC notation.

The standard is at abcnotation.com/wiki/abc:standard:v2.1. Repeats and endings are read once, as they are written. Grace
notes and decorations are skipped. Of a chord the highest note stays, and of several voices the first. Text that is not
understood is skipped.
"""

import functools
import re

import numpy as np

from ae_jax.data.music.events import SEMITONES, STEPS, Melody

_LENGTH = r"\d*(?:/+\d*)?"
_NOTE = rf"(?P<accidental>[\^_=]*)(?P<letter>[A-Ga-g])(?P<octave>[,']*)(?P<length>{_LENGTH})"
_INSIDE_CHORD = re.compile(_NOTE)
_OLD_CHORD = r"\+(?!f+\+)(?P<old>(?:[\^_=]*[A-Ga-g][,'\d/]*)+)\+"  # of ABC 1.6, as +CEG+; +ff+ is a decoration
# The name of an outer group is the name of the method of _Reader that takes in the token.
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
_MODES = {"lyd": 1, "mix": -1, "dor": -2, "min": -3, "m": -3, "aeo": -3, "phr": -4, "loc": -5}  # fifths up from major
# {notes of a tuplet: notes whose time they take}. The others take the time of two, or of three in a compound metre.
_IN_TIME_OF = {2: 3, 3: 2, 4: 3, 6: 2, 8: 3}


def read(text: str) -> list[list[Melody]]:
    """Return the tunes in the text of a file, each a list of stretches of one metre."""
    tunes = re.split(r"(?m)^X:", text)[1:]
    return [_Reader().read(tune) for tune in tunes]


@functools.cache
def _length(text: str) -> float:
    """Return the factor that a length such as "3/2", "/" or "//" multiplies the unit by."""
    number, slash, rest = text.partition("/")
    halvings = len(slash + rest)  # in a text of slashes only
    divisor = int(rest.lstrip("/") or 2**halvings)
    return int(number or 1) / max(divisor, 1)


@functools.cache
def _natural(letter: str, octave: str) -> tuple[str, int]:
    """Return (upper-case letter, MIDI pitch of its natural) of a note such as "c" and "'"."""
    octaves = letter.islower() + octave.count("'") - octave.count(",")
    return letter.upper(), _MIDDLE_C + SEMITONES[letter.upper()] + 12 * octaves


@functools.cache
def _signature(text: str) -> dict[str, int]:
    """Return {letter: semitones up} of a key such as "Bb", "F#m", "D Mixolydian" or "D =c"."""
    signature = dict.fromkeys(SEMITONES, 0)
    key = _KEY.match(text)
    if key:
        letter, sign, mode = key.groups()
        mode = mode if len(mode) == 1 else mode[:3].lower()  # "m" is minor; "M" is major, as any unknown mode
        fifths = _SHARPS.index(letter) - 1  # up from C
        fifths += {"#": 7, "b": -7}.get(sign, 0) + _MODES.get(mode, 0)
        order, step = (_SHARPS, 1) if fifths > 0 else (_SHARPS[::-1], -1)
        for place in range(abs(fifths)):
            signature[order[place % 7]] += step
        text = text[key.end() :]
    for accidental, letter in re.findall(r"([\^_=]+)([A-Ga-g])", text):
        signature[letter.upper()] = _semitones(accidental)
    return signature


def _semitones(accidental: str) -> int:
    """Return the semitones by which accidentals such as "^^", "_" or "=" raise a natural."""
    return accidental.count("^") - accidental.count("_")


@functools.cache
def _metre(text: str) -> tuple[float, bool]:
    """Return the sixteenths in a bar of a metre such as "C|", and whether it is compound.

    A text without a metre has 0 sixteenths in a bar.
    """
    text = {"C": "4/4", "C|": "2/2"}.get(text.strip(), text)
    numbers = re.search(r"(\d+)/(\d+)", text)
    if not numbers:
        return 0.0, False
    beats, beat = int(numbers[1]), int(numbers[2])
    if not beat:
        return 0.0, False
    return STEPS * beats / beat, beats in (6, 9, 12)


class _Reader:
    """Collect the melodies of one tune from its tokens. Places and durations are in sixteenths.

    A public method takes in one kind of token, and is named after the token's group in `_TOKEN`.
    """

    def __init__(self) -> None:
        self.melodies: list[Melody] = []
        self.voice: list[str] | None = None  # the first voice that the tune names
        self.is_heard = True  # whether the tokens belong to the first voice
        self.in_body = False  # whether the key, which ends the head of a tune, was read
        self.bar = 0.0  # length of a bar; 0 for no metre
        self.is_compound = False
        self.unit = 0.0  # length of a note of no written length; 0 until it is known
        self.signature = _signature("C")
        self._begin()

    def read(self, tune: str) -> list[Melody]:
        """Return the melodies of a tune, which is the text after "X:"."""
        for token in _TOKEN.finditer(tune):
            kind = token.lastgroup
            is_field = kind in ("field", "inline")
            if kind and (is_field or (self.in_body and self.is_heard)):
                getattr(self, kind)(token)
        self._end()
        return self.melodies

    def _begin(self) -> None:
        """Begin a stretch of one metre."""
        self.notes: list[list[float]] = []  # [onset, duration, pitch]
        self.barlines: list[float] = []
        self.position = 0.0
        self.altered: dict[str, int] = {}  # {letter: semitones up}, to the end of the bar
        self.sounding: list[float] | None = None  # the last note; None after a rest
        self.tied: list[float] | None = None  # the last note, where a tie follows it
        self.written = ""  # the last note as it is written; "" for a chord
        self.last = 0.0  # duration of the last note or rest
        self.next_factor = 1.0  # what a broken rhythm does to the duration of the next note or rest
        self.factor = 1.0  # what a tuplet does to the durations of its notes
        self.in_tuplet = 0  # how many notes or rests of the tuplet are still to come

    def _end(self) -> None:
        """End the stretch of one metre, and begin the next."""
        if self.notes:
            melody = Melody(np.array(self.notes, float), np.array(self.barlines, float), self.bar, self.position)
            self.melodies.append(melody)
        self._begin()

    def field(self, token: re.Match) -> None:
        """Take in a key, unit, metre or voice. A change of metre begins another melody."""
        text = token["field"] or token["inline"]
        name, content = text[0], text[2:].partition("%")[0]
        if name == "K":
            self.signature, self.in_body = _signature(content), True
            if not self.unit:
                is_short = 0 < self.bar < 0.75 * STEPS
                self.unit = 1.0 if is_short else 2.0
        elif name == "L":
            unit, _ = _metre(content)  # written as a metre is: "1/8"
            self.unit = unit or self.unit
        elif name == "M":
            bar, self.is_compound = _metre(content)
            if bar != self.bar:
                self._end()
            self.bar = bar
        elif name == "V" and self.in_body:
            voice = content.split()[:1]
            self.voice = self.voice or voice
            self.is_heard = voice == self.voice

    inline = field

    def barline(self, token: re.Match) -> None:
        """Note the bar line, and end the accidentals of the bar."""
        self.barlines.append(self.position)
        self.altered.clear()

    def note(self, token: re.Match) -> None:
        """Begin a note, or lengthen the last one where a tie joins them."""
        written, pitch = token["letter"] + token["octave"], self._pitch(token)
        duration = self._advance(token["length"])
        # A tie carries the accidental of its note over the bar line, so the pitches may differ.
        is_same = written == self.written and (not token["accidental"] or self._is_tied_to(pitch))
        self._sound(duration, pitch, is_same)
        self.written = written

    def chord(self, token: re.Match) -> None:
        """Begin the highest note of a chord, or lengthen the last one where a tie joins them."""
        inside = list(_INSIDE_CHORD.finditer(token["inside"] or token["old"]))
        pitch = max(map(self._pitch, inside))
        duration = self._advance(token["chord_length"], _length(inside[0]["length"]))
        self._sound(duration, pitch, self._is_tied_to(pitch))
        self.written = ""

    def rest(self, token: re.Match) -> None:
        """Move on by a rest; "Z" counts bars."""
        is_of_bars = token[0].startswith("Z")
        self._advance(token["rest_length"], self.bar / self.unit if is_of_bars else 1.0)
        self.sounding = self.tied = None

    def tie(self, token: re.Match) -> None:
        """Tie the last note to the next."""
        self.tied = self.sounding

    def tuplet(self, token: re.Match) -> None:
        """Begin a tuplet "(p:q:r": p notes in the time of q, for the next r notes."""
        p = int(token["p"])
        q = int(token["q"] or _IN_TIME_OF.get(p, 3 if self.is_compound else 2))
        self.factor = q / p
        self.in_tuplet = int(token["r"] or p)

    def broken(self, token: re.Match) -> None:
        """Lengthen the last note and shorten the next by the same share, or the reverse ("<")."""
        share = 1 - 0.5 ** len(token[0])
        share = share if token[0][0] == ">" else -share
        self.position += share * self.last
        if self.sounding is not None:
            self.sounding[1] += share * self.last
        self.next_factor = 1 - share

    def _pitch(self, note: re.Match) -> int:
        """Return the MIDI pitch of a note, whose accidental holds to the end of the bar."""
        letter, natural = _natural(note["letter"], note["octave"])
        if note["accidental"]:
            self.altered[letter] = _semitones(note["accidental"])
        return natural + self.altered.get(letter, self.signature[letter])

    def _is_tied_to(self, pitch: int) -> bool:
        """Tell whether a tie follows the last note, and that has the given pitch."""
        return self.tied is not None and self.tied[2] == pitch

    def _sound(self, duration: float, pitch: int, is_same: bool) -> None:
        """Begin a note that ends at the position, or lengthen the tied one where it is the same."""
        if self.tied is not None and is_same:
            self.tied[1] += duration
        else:
            self.sounding = [self.position - duration, duration, pitch]
            self.notes.append(self.sounding)
        self.tied = None

    def _advance(self, length: str, factor: float = 1.0) -> float:
        """Move on by a note or rest of a written length times a factor, and return its duration."""
        duration = self.unit * _length(length) * factor * self.factor * self.next_factor
        self.position += duration
        self.last, self.next_factor = duration, 1.0
        self.in_tuplet -= 1
        if self.in_tuplet <= 0:
            self.factor = 1.0
        return duration
