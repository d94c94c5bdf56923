"""Read the times of beats from a text file, and place the notes of a recording between them.

A recorded performance has no steady tempo, so the quarters of its MIDI file are not the beats of the music. Data sets
such as POP909 (Wang et al. 2020, arXiv:2008.07142) give the times of the beats in a file beside the MIDI file.
"""

import dataclasses
from pathlib import Path

import numpy as np

from ae_jax.core.errors import UserError
from ae_jax.data.music import events
from ae_jax.data.music.events import STEPS, Melody
from ae_jax.data.music.midi import Score, Voice

_BEAT = STEPS // 4  # a beat lasts a quarter, in sixteenths
_FORMAT = "use a line for each beat: its time in seconds and, for the first beat of a bar, a 1 in the last column"


@dataclasses.dataclass(frozen=True)
class Beats:
    """Hold the beats of a piece.

    Attributes:
        times: seconds, float [N], increasing, N > 1.
        downbeats: the numbers of the beats that begin a bar, int [K]; empty if the file does not say.
    """

    times: np.ndarray
    downbeats: np.ndarray


def read(file: Path) -> Beats:
    """Read the beats in a text file.

    Each line has the time of a beat in seconds, and optionally further columns, of which the last is 1 where a bar
    begins, as "beat_midi.txt" of POP909 has.

    Raises:
        UserError: the file is not there, or is no such file.
    """
    try:
        lines = file.read_text("utf-8", "replace").splitlines()
    except OSError:
        raise UserError(f"{file} is not there, and data.beats asks for it\nadd it, or leave data.beats out") from None
    try:
        rows = np.array([line.split() for line in lines if line.strip()], float)
    except ValueError as error:
        raise UserError(f"{file} cannot be read: {error}\n{_FORMAT}") from None
    times = rows[:, 0] if rows.ndim > 1 else np.zeros(0)
    if len(times) < 2 or not np.isfinite(times).all() or (np.diff(times) <= 0).any():
        raise UserError(f"{file} has no two beats, or their times do not increase\n{_FORMAT}")
    downbeats = np.flatnonzero(rows[:, -1] == 1) if rows.shape[1] > 1 else np.zeros(0, int)
    return Beats(times, downbeats)


def placed(voice: Voice, score: Score, beats: Beats) -> Voice:
    """Return a voice whose times are counted in beats, in sixteenths from the first beat.

    Between two beats time is linear. Before the first beat and after the last one, beats are as long as the nearest.
    """
    onset = _positions(score.seconds(voice.notes[:, 0]), beats.times)
    end = _positions(score.seconds(voice.notes[:, 0] + voice.notes[:, 1]), beats.times)
    return dataclasses.replace(voice, notes=np.column_stack([onset, end - onset, voice.notes[:, 2]]))


def _positions(seconds: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Return the positions of times in seconds, in sixteenths from the first beat."""
    beat = np.clip(np.searchsorted(times, seconds, "right") - 1, 0, len(times) - 2)
    return _BEAT * (beat + (seconds - times[beat]) / np.diff(times)[beat])


def melody(voice: Voice, beats: Beats, bar: int) -> Melody:
    """Return a voice that `placed` has made as one melodic line.

    Its bars begin with the downbeats.

    Args:
        voice: the voice, whose times are rounded to sixteenths.
        beats: the beats.
        bar: the length of a bar in sixteenths where the beats do not say which of them begin a bar.
    """
    notes = events.monophonic(events.rounded(voice.notes))
    # Notes before the first beat: a whole number of beats is put before it.
    before = _BEAT * int(np.ceil(max(-notes[0, 0], 0) / _BEAT))
    notes = notes + [before, 0, 0]
    end = float((notes[:, 0] + notes[:, 1]).max())
    if len(beats.downbeats) < 2:
        return Melody(notes, np.arange(before, end, bar), float(bar), end)
    lengths = _BEAT * np.diff(beats.downbeats)
    return Melody(notes, before + _BEAT * beats.downbeats.astype(float), float(np.bincount(lengths).argmax()), end)
