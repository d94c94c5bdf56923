"""Melodies as sound: by FluidSynth where it is installed with a sound font, else by adding up partials."""

import io
import os
import shutil
import subprocess
import tempfile
import wave
from pathlib import Path

import numpy as np

from ae_jax.core.errors import RunFailed, UserError
from ae_jax.data.music import midi

RATE = 22050  # samples a second
_SIXTEENTH = 0.125  # seconds, at 120 quarters a minute
_PARTIALS = (1.0, 0.5, 0.25, 0.12)  # amplitudes
_ATTACK, _RELEASE, _DECAY = 0.005, 0.03, 1.5  # seconds
_FONTS = ("/usr/share/sounds/sf2", "/usr/share/soundfonts")


def to_wav(notes: np.ndarray, steps: int) -> bytes:
    """A WAV file of integer notes [N, 3], `steps` sixteenths long at 120 quarters a minute: one channel of 16 bits, or
    what FluidSynth makes of them, with the time that the last sounds take to die away.

    Raises UserError where $SOUNDFONT names no file, RunFailed where FluidSynth fails.
    """
    font = _font()
    return _by_fluidsynth(font, notes, steps) if font else _wav(samples(notes, steps))


def samples(notes: np.ndarray, steps: int) -> np.ndarray:
    """Samples [N] in [-1, 1]: each note four partials that die away."""
    sound = np.zeros(round(steps * _SIXTEENTH * RATE))
    for onset, duration, pitch in notes.tolist():
        start = round(onset * _SIXTEENTH * RATE)
        time = np.arange(min(round(duration * _SIXTEENTH * RATE), len(sound) - start)) / RATE
        frequency = 440 * 2 ** ((pitch - 69) / 12)
        # Nothing above half the sampling rate, which would sound as another pitch.
        partials = [(n, a) for n, a in enumerate(_PARTIALS, 1) if n * frequency < RATE / 2]
        tone = sum(a * np.sin(2 * np.pi * n * frequency * time) for n, a in partials)
        left = duration * _SIXTEENTH - time
        envelope = np.minimum(time / _ATTACK, 1) * np.minimum(left / _RELEASE, 1) * np.exp(-time / _DECAY)
        sound[start : start + len(time)] += 0.5 * tone * envelope
    return np.clip(sound, -1, 1)


def _wav(sound: np.ndarray) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes(np.rint(sound * 32767).astype("<i2").tobytes())
    return file.getvalue()


def _font() -> str:
    """The sound font for FluidSynth, $SOUNDFONT or the first of the system's; "" where either of the two is missing."""
    if not shutil.which("fluidsynth"):
        return ""
    font = os.environ.get("SOUNDFONT")
    if font and not Path(font).is_file():
        raise UserError(f"SOUNDFONT={font!r} is no file\nexpected a sound font, .sf2 or .sf3, for FluidSynth")
    of_system = [str(file) for folder in _FONTS for file in sorted(Path(folder).glob("*.sf[23]"))]
    return font or next(iter(of_system), "")


def _by_fluidsynth(font: str, notes: np.ndarray, steps: int) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        tune, sound = Path(folder, "tune.mid"), Path(folder, "tune.wav")
        tune.write_bytes(midi.to_bytes(notes, steps))
        command = ["fluidsynth", "-ni", "-q", "-r", str(RATE), "-F", str(sound), font, str(tune)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, errors="replace")
        except OSError as error:
            raise RunFailed(f"FluidSynth cannot be run: {error}") from None
        if done.returncode or not sound.is_file():
            said = (done.stderr or done.stdout).strip().splitlines() or [f"status {done.returncode}"]
            raise RunFailed(f"FluidSynth fails with the sound font {font}: {said[-1]}")
        return sound.read_bytes()
