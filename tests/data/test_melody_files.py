"""The user's MIDI files without a model: what is read of a folder and what is left out, what is written, and sound."""

import numpy as np
import pytest

from ae_jax.commands.apply import results, userfiles
from ae_jax.core.errors import RunFailed, UserError
from ae_jax.core.types import DataSpec
from ae_jax.data.music import audio, events, midi

SPEC = DataSpec((32,), "events", levels=events.CLASSES)
NOTES = np.array([(bar * 16 + 4 * beat, 4, 60 + bar + beat) for bar in range(4) for beat in range(4)])


def midi_file(notes, steps=64, tracks=()):
    """The bytes of a MIDI file, with the tracks of others after its own."""
    first, rest = midi.to_bytes(notes, steps), b"".join(data[14:] for data in tracks)
    return first[:10] + bytes([0, 1 + len(tracks)]) + first[12:] + rest


WHOLE, SHORT = midi_file(NOTES), midi_file(NOTES[:8], 32)
DUET = midi_file(NOTES, tracks=(midi_file(NOTES + [0, 0, 7]),))
DAMAGED = midi_file(NOTES, tracks=(bytes(14) + b"MTrk\x00\x00\x00\x03\x00\x3c\x40",))


@pytest.fixture
def folder(tmp_path):
    """A function of {file: bytes} that makes the folder "tunes" of them."""

    def make(files):
        (tmp_path / "tunes").mkdir()
        for name, data in files.items():
            (tmp_path / "tunes" / name).write_bytes(data)
        return tmp_path / "tunes"

    return make


def read(path, **options):
    return userfiles.read_examples(str(path), userfiles.Wanted(SPEC, SPEC.shape), **options)


def test_a_file_of_two_voices_and_a_short_one_are_left_out_and_named(folder):
    tunes = folder({"a.mid": WHOLE, "b.mid": DUET, "c.mid": SHORT, "d.mid": WHOLE})
    found = read(tunes, start_bar=3)
    assert found.names == ["a_bar_03", "d_bar_03"]
    np.testing.assert_array_equal(found.inputs, [events.to_events(NOTES[8:] - [32, 0, 0], 32)] * 2)
    two_voices, too_short = found.unreadable
    assert "b.mid has 2 voices" in two_voices and "--track=1 (track 1, channel 0" in two_voices
    assert "c.mid has no note from bar 3 on for 2 bars\nexpected --start_bar from 1 to 2" in too_short
    (tunes / "a.mid").unlink()
    (tunes / "d.mid").unlink()
    with pytest.raises(RunFailed, match="(?s)b.mid has 2 voices.*c.mid has no note"):
        read(tunes, start_bar=3)


@pytest.mark.parametrize("source", ["tunes", "tunes/b.mid"])
def test_a_file_with_a_damaged_track_is_used_and_named(source, folder, tmp_path):
    folder({"b.mid": DAMAGED})
    found = read(tmp_path / source)
    assert found.names == ["b_bar_01", "b_bar_03"]
    np.testing.assert_array_equal(found.inputs.ravel(), events.to_events(NOTES, 64))
    (line,) = found.unreadable
    assert line.endswith("b.mid could be read in part: track 1 is damaged: it begins without a status")


@pytest.mark.parametrize(
    ("options", "said"), [({"start_bar": -3}, "bar=-3\nexpected a bar"), ({"voice": -7}, "track=-7\nexpected a track")]
)
def test_no_bar_or_track_is_below_zero(options, said, folder):
    with pytest.raises(UserError, match=said) as error:
        read(folder({"a.mid": WHOLE}), **options)
    assert str(error.value).count("\n") == 1


def test_an_image_is_no_melody(folder):
    with pytest.raises(UserError, match="a.png' is none of what.*\nexpected .mid, .midi, .npy or .npz$"):
        read(folder({"a.png": b""}) / "a.png")


def test_notes_that_no_piano_has_are_no_melody(folder):
    with pytest.raises(UserError, match="a.mid has no note from MIDI 21 to 108"):
        read(folder({"a.mid": midi_file(NOTES + [0, 0, 60])}) / "a.mid")


def test_two_files_that_would_become_one_are_refused(folder):
    with pytest.raises(UserError, match="two melodies whose results would both be named a_bar_01\nrename a file"):
        read(folder({"a.mid": WHOLE, "a.midi": SHORT}))


def test_melodies_one_after_the_other_end_where_they_end():
    """The last note of the first has no note-off, and the second begins with a silence."""
    first, second = np.zeros((2, 16), np.uint8)
    first[[0, 12]], second[[4, 8]] = [41, 45], [43, events.OFF]
    files = results.melody([first, second], "a_b")
    (voice,) = midi.parse(files["a_b.mid"]).voices
    np.testing.assert_array_equal(voice.notes, [[0, 12, 60], [12, 4, 64], [20, 4, 62]])


@pytest.fixture
def fluidsynth(tmp_path, monkeypatch):
    """A function that puts a shell script in the place of FluidSynth, and answers a font for it."""
    program, font = tmp_path / "bin/fluidsynth", tmp_path / "font.sf2"

    def put(script):
        program.parent.mkdir()
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        font.touch()
        monkeypatch.setenv("PATH", str(program.parent), prepend=":")
        monkeypatch.setenv("SOUNDFONT", str(font))
        return font

    return put


def test_a_sound_font_that_is_no_file_is_refused(fluidsynth, monkeypatch):
    font = fluidsynth("exit 0")
    monkeypatch.setenv("SOUNDFONT", f"{font}.none")
    with pytest.raises(UserError, match=r"SOUNDFONT='.*font.sf2.none' is no file\nuse .* sound font") as error:
        audio.to_wav(NOTES, 64)
    assert str(error.value).count("\n") == 1


@pytest.mark.parametrize(
    ("script", "reason"),
    [("echo one >&2; echo two >&2; exit 3", "two"), ("exit 3", "status 3"), ("echo no sound", "no sound")],
)
def test_fluidsynth_fails_in_one_line(script, reason, fluidsynth):
    font = fluidsynth(script)
    with pytest.raises(RunFailed) as error:
        audio.to_wav(NOTES, 64)
    assert str(error.value) == f"FluidSynth fails with the sound font {font}: {reason}"


def test_fluidsynth_is_given_the_font_and_the_tune(fluidsynth):
    font = fluidsynth('cat "$7" "$8" > "$6"')  # -ni -q -r RATE -F SOUND FONT TUNE
    font.write_bytes(b"font")
    assert audio.to_wav(NOTES, 64) == b"font" + midi.to_bytes(NOTES, 64)
