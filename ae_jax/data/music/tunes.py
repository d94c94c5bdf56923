"""Read tunes from files, cut them into windows, and report what is left out or changed."""

import collections
import dataclasses
import hashlib
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from ae_jax.core.errors import UserError
from ae_jax.data.music import abc, beats, events, midi, musicxml
from ae_jax.data.music.events import Melody

# {length of a bar in sixteenths: how its metres are called}
_METRES = {3: "3/16", 6: "3/8", 8: "2/4", 9: "9/16", 10: "5/8", 12: "3/4 or 6/8", 14: "7/8", 16: "4/4"}
_METRES |= {18: "9/8", 20: "5/4", 24: "12/8 or 3/2", 28: "7/4", 32: "4/2", 36: "9/4"}


@dataclasses.dataclass(frozen=True)
class Tune:
    """Hold the windows of one tune.

    Attributes:
        label: the number of its collection.
        grids: uint8 [K, T], at least one.
        digest: a hash of its intervals, by which tunes were split until format 2.
    """

    label: int
    grids: np.ndarray
    digest: bytes


@dataclasses.dataclass
class Counts:
    """Count what is left out or changed while tunes are read.

    Attributes:
        tunes: tunes that could be read.
        metres: {length of a bar: tunes without windows because of their metre}.
        short: tunes without windows for another reason.
        misfits: windows with a note that does not fit the grid.
        notes: notes of the voices that were read from MIDI files.
        moved: of these, notes that do not begin on a sixteenth.
        shift: sixteenths by which these were moved, together.
        dropped: of all these notes, those that begin on the same sixteenth as a higher one.
    """

    tunes: int = 0
    metres: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    short: int = 0
    misfits: int = 0
    notes: int = 0
    moved: int = 0
    shift: float = 0.0
    dropped: int = 0

    def add_voice(self, notes: np.ndarray) -> None:
        """Count the notes of a voice that rounding to sixteenths moves or drops.

        Args:
            notes: float [N, 3]: onset and duration in sixteenths, MIDI pitch.
        """
        onset = np.rint(notes[:, 0])
        shift = np.abs(notes[:, 0] - onset)
        is_moved = shift > events.NEAR
        self.notes += len(notes)
        self.moved += int(is_moved.sum())
        self.shift += float(shift[is_moved].sum())
        self.dropped += len(onset) - len(np.unique(onset))

    def add_without(self, melodies: list[Melody], bar: int) -> None:
        """Count a tune without windows, by the metre of its longest stretch."""
        longest = max(melodies, key=lambda melody: melody.end)
        if events.divides(longest.bar, bar):
            self.short += 1
        else:
            self.metres[longest.bar] += 1

    def lines(self, bars: int = 0, bar: int = 0) -> Iterator[str]:
        """Yield what is to be reported, a line for each kind of loss.

        Args:
            bars: the length of a window in bars; it is only needed if whole tunes were counted.
            bar: the length of a bar in sixteenths, likewise.
        """
        if self.misfits:
            yield f"{self.misfits} windows have a note off the grid of sixteenths or out of range: left out"
        for length, count in self.metres.most_common():
            metre = _METRES.get(length, f"bars of {length:g} sixteenths") if length else "no metre"
            fitting = _fitting(length)
            remedy = f"; data.bar={fitting} reads them" if fitting else ""
            yield f"{count} of {self.tunes} tunes are in {metre}, and data.bar is {bar}: left out{remedy}"
        if self.short:
            yield (
                f"{self.short} of {self.tunes} tunes have no window of {bars} bars in which all notes fit the grid: "
                "left out"
            )
        if self.moved:
            mean = self.shift / self.moved
            yield (
                f"{self.moved} of {self.notes} notes in MIDI files begin off the grid of sixteenths: moved, by "
                f"{mean:.2f} sixteenths on average"
            )
        if self.dropped:
            yield f"{self.dropped} of {self.notes} notes in MIDI files begin with a higher note: dropped"


def _fitting(length: float) -> int:
    """Return the value of data.bar that reads a metre; 0 where none does."""
    usual = [bar for bar in (16, 12, 18) if events.divides(length, bar)]
    if usual:
        return usual[0]
    return int(length) if length >= 1 and length.is_integer() else 0


def read(
    files: Iterable[tuple[Path, int]], bars: int, bar: int, beat_file: str = "", format: int = 3
) -> tuple[list[Tune], Counts]:
    """Read the tunes with at least one window. Files that cannot be read are named on stderr.

    Args:
        files: (file, label).
        bars: the length of a window in bars.
        bar: the length of a bar in sixteenths.
        beat_file: the name of a file beside each MIDI file with its beats, see `beats.read`; "" for none.
        format: see `ae_jax.core.types.FORMAT`. Until 2, notes that begin together were found before rounding.
    """
    counts, found = Counts(), []
    for tune, label in _melodies(files, bar, beat_file, format, counts):
        counts.tunes += bool(tune)
        cut = [events.windows(melody, bars, bar) for melody in tune]
        counts.misfits += sum(misfits for _, misfits in cut)
        if sum(len(grids) for grids, _ in cut):
            intervals = b"".join(np.diff(melody.notes[:, 2]).tobytes() for melody in tune)
            grids = np.concatenate([grids for grids, _ in cut])
            found.append(Tune(label, grids, hashlib.sha256(intervals).digest()))
        elif tune:
            counts.add_without(tune, bar)
    return found, counts


def _melodies(
    files: Iterable[tuple[Path, int]], bar: int, beat_file: str, format: int, counts: Counts
) -> Iterator[tuple[list[Melody], int]]:
    """Yield (melodies, label) of each tune that can be read; a MIDI file is one tune."""
    for file, label in files:
        try:
            if file.suffix == ".abc":
                for tune in abc.read(file.read_text("utf-8", "replace")):
                    yield tune, label
            elif file.suffix == ".mxl":
                yield musicxml.read(file), label
            else:
                yield _from_midi(file, bar, beat_file, format, counts), label
        except UserError as error:
            print(f"left out: {error}", file=sys.stderr)


def _from_midi(file: Path, bar: int, beat_file: str, format: int, counts: Counts) -> list[Melody]:
    """Return the melodies in the melodic voices of a MIDI file."""
    score = midi.read(file)
    voices, found = score.voices, None
    if beat_file:
        found = beats.read(file.parent / beat_file)
        voices = [beats.placed(voice, score, found) for voice in voices]
    melodic = [voice for voice in voices if (voice.is_melodic if format > 2 else voice.was_melodic)]
    if not melodic:
        raise UserError(f"{file} has no voice of single notes")
    if score.damage:
        print(f"read in part: {file}: {score.damage}", file=sys.stderr)
    for voice in melodic:
        counts.add_voice(voice.notes)
    if found:
        return [beats.melody(voice, found, bar) for voice in melodic]
    return [melody for voice in melodic for melody in midi.melodies(score, voice)]
