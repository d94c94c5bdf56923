"""Read the user's MIDI files, and cut their melodies into windows as long as a model's."""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ae_jax.core.errors import RunFailed, UserError
from ae_jax.core.types import DataSpec
from ae_jax.data.music import beats, events, midi, tunes


def read(
    source: Path, spec: DataSpec, voice: int, start_bar: int, beat_file: str
) -> tuple[dict[str, np.ndarray], list[Path], list[str]]:
    """Read a MIDI file or a folder; count moved and dropped notes on stderr.

    The arguments are those of `userfiles.read_examples`.

    Returns:
      {name of a window: canonical grid [T]}, the files, and a line for each file that could not be read, or not all of
      it.

    Raises:
      UserError: a single file has no melody, or two windows would have one name.
      RunFailed: nothing in a folder can be read.
    """
    files = sorted(f for f in source.rglob("*") if f.suffix.lower() in midi.SUFFIXES) if source.is_dir() else [source]
    if not files:
        raise UserError(f"--input: {source} holds no {' or '.join(midi.SUFFIXES)} files")
    found: dict[str, np.ndarray] = {}
    unreadable: list[str] = []
    counts = tunes.Counts()
    for file in files:
        try:
            score = midi.read(file)
            chosen = _chosen(file, _voices(file, score, beat_file), voice)
            windows = _windows(file, chosen, spec, start_bar)
        except UserError as error:
            if not source.is_dir():
                raise
            unreadable.append(str(error))
            continue
        if score.damage:
            unreadable.append(f"{file} could be read in part: {score.damage}")
        counts.add_voice(chosen.notes)
        stem = file.relative_to(source).with_suffix("").as_posix() if source.is_dir() else file.stem
        for bar, grid in windows.items():
            name = f"{stem}_bar_{bar:02d}"
            if name in found:
                raise UserError(f"{source} holds two melodies whose results would both be named {name}\nrename a file")
            found[name] = grid
    if not found:
        raise RunFailed("\n".join(unreadable))
    for line in counts.lines():
        print(line, file=sys.stderr)
    return found, files, unreadable


def _voices(file: Path, score: midi.Score, beat_file: str) -> list[midi.Voice]:
    """Return the voices of a score, in the time of the beats beside the file, if they are there."""
    if not beat_file or not (file.parent / beat_file).is_file():
        return score.voices
    found = beats.read(file.parent / beat_file)
    return [beats.placed(voice, score, found) for voice in score.voices]


def _chosen(file: Path, voices: Sequence[midi.Voice], voice: int) -> midi.Voice:
    """Return the voice that is read, or raise UserError, which lists the voices."""
    chosen = [n for n, each in enumerate(voices) if each.is_melodic] if voice < 0 else [voice]
    if len(chosen) != 1 or chosen[0] >= len(voices):
        there = "; ".join(f"--track={number} ({each})" for number, each in enumerate(voices))
        raise UserError(f"{file} has {len(voices)} voice{'s' * (len(voices) > 1)}, expected one choice of: {there}")
    return voices[chosen[0]]


def _windows(file: Path, voice: midi.Voice, spec: DataSpec, start_bar: int) -> dict[int, np.ndarray]:
    """Cut a voice of a MIDI file into windows.

    Returns:
      {number of a window's first bar: canonical grid [steps]}, for windows with a note.

    Raises:
      UserError: there are no notes.
    """
    (steps,) = spec.shape
    # A rest at the end makes the last window whole.
    line = midi.grid(voice, rest=steps, bar=spec.bar)
    starts = range(0, len(line) - steps, steps) if not start_bar else [(start_bar - 1) * spec.bar]
    cut = {start // spec.bar + 1: events.canonical(line[start : start + steps]) for start in starts}
    found = {bar: grid for bar, grid in cut.items() if len(grid) == steps and (grid >= events.FIRST).any()}
    bars = (len(line) - steps) // spec.bar
    if not bars:
        raise UserError(f"{file} has no note from MIDI {events.LOWEST} to {events.HIGHEST}, the keys of a piano")
    if not found:
        raise UserError(
            f"{file} has no note from bar {start_bar or 1} on for {steps // spec.bar} bars\n"
            f"expected --start_bar from 1 to {bars}"
        )
    return found
