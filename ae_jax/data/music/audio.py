"""Render melodies as sound.

FluidSynth does so where it is installed with a sound font. Otherwise each note is a sum of partials.
"""

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
_A4 = 69  # the MIDI pitch of 440 Hz
_PARTIALS = (1.0, 0.5, 0.25, 0.12)  # amplitudes
_ATTACK, _RELEASE, _DECAY = 0.005, 0.03, 1.5  # seconds
_FONTS = ("/usr/share/sounds/sf2", "/usr/share/soundfonts")


def to_wav(notes: np.ndarray, steps: int) -> bytes:
    """Return the content of a WAV file of a melody at 120 quarters a minute.

    FluidSynth adds the time that the last notes take to die away. Without it the file has one channel of 16 bits.

    Args:
        notes: int [N, 3]: onset and duration in sixteenths, MIDI pitch.
        steps: the length in sixteenths.

    Raises:
        UserError: the environment variable SOUNDFONT names no file.
        RunFailed: FluidSynth fails.
    """
    font = _font()
    return _by_fluidsynth(font, notes, steps) if font else _wav(samples(notes, steps))


def samples(notes: np.ndarray, steps: int) -> np.ndarray:
    """Return samples of a melody, in [-1, 1], whose notes are four decaying partials each.

    Args:
        notes: int [N, 3]: onset and duration in sixteenths, MIDI pitch.
        steps: the length in sixteenths.

    Returns:
        Samples [N], RATE a second.
    """
    sound = np.zeros(round(steps * _SIXTEENTH * RATE))
    for onset, duration, pitch in notes.tolist():
        start = round(onset * _SIXTEENTH * RATE)
        seconds = duration * _SIXTEENTH
        time = np.arange(min(round(seconds * RATE), len(sound) - start)) / RATE
        frequency = 440 * 2 ** ((pitch - _A4) / 12)
        tone = np.zeros(len(time))
        for number, amplitude in enumerate(_PARTIALS, 1):
            # A partial above half the sampling rate would sound as another pitch.
            if number * frequency < RATE / 2:
                tone += amplitude * np.sin(2 * np.pi * number * frequency * time)
        attack = np.minimum(time / _ATTACK, 1)
        release = np.minimum((seconds - time) / _RELEASE, 1)
        envelope = attack * release * np.exp(-time / _DECAY)
        sound[start : start + len(time)] += 0.5 * tone * envelope
    return np.clip(sound, -1, 1)


def _wav(sound: np.ndarray) -> bytes:
    """Return the content of a WAV file of one channel of 16 bits."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes(np.rint(sound * 32767).astype("<i2").tobytes())
    return file.getvalue()


def _font() -> str:
    """Return the path of the sound font, or "" without a font or FluidSynth.

    It is $SOUNDFONT, or else the first font of the system.
    """
    if not shutil.which("fluidsynth"):
        return ""
    font = os.environ.get("SOUNDFONT")
    if font and not Path(font).is_file():
        raise UserError(f"SOUNDFONT={font!r} is no file\nuse the path of a sound font for FluidSynth, .sf2 or .sf3")
    if font:
        return font
    for folder in _FONTS:
        of_system = sorted(Path(folder).glob("*.sf[23]"))
        if of_system:
            return str(of_system[0])
    return ""


def _by_fluidsynth(font: str, notes: np.ndarray, steps: int) -> bytes:
    """Return the content of the WAV file that FluidSynth makes of a melody, or raise RunFailed."""
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
