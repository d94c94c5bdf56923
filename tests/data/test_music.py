"""Melodies: what is written is what is read, grids and notes are the same thing, and damage is named."""

import hashlib
import os
import re
import struct
import sys
import tarfile
import zipfile
from importlib.util import find_spec
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ae_jax.core.errors import UserError
from ae_jax.core.types import DataSpec
from ae_jax.data import corruptions
from ae_jax.data.music import abc, beats, events, families, midi, midi_messages, musicxml, scores, tunes
from ae_jax.data.sources import melodies
from ae_jax.experiments import experiment
from ae_jax.training.step import streams
from configs import vae

# Holds are two thirds of what is real.
GRIDS = hnp.arrays(np.uint8, st.tuples(st.integers(1, 4), st.integers(1, 40)), elements=st.sampled_from([0, 0, 0, 1]))
GRIDS = st.tuples(GRIDS, st.integers(0, 2**32 - 1)).map(
    lambda drawn: np.where(np.random.default_rng(drawn[1]).random(drawn[0].shape) < 0.3, _onsets(*drawn), drawn[0])
)


def _onsets(grid, seed):
    return np.random.default_rng(seed + 1).integers(2, 90, grid.shape, np.uint8)


def corpus(*patterns: str) -> list[Path]:
    """The files of music21's corpus of these patterns; skips where it is not installed."""
    package = find_spec("music21")
    files = package and [f for p in patterns for f in sorted(Path(package.origin).parent.glob(f"corpus/{p}"))]
    if not files:
        pytest.skip("no music21 with its corpus: pip install -e '.[music]'")
    return files


@pytest.fixture(scope="module")
def windows_of_corpus(tmp_path_factory):
    """Return a function: number of bars -> all such windows of the corpus, {"train", "validation", "test"}."""
    corpus("bach/*.mxl")
    cache, names = str(tmp_path_factory.mktemp("cache")), tuple(name for name, _ in melodies.COLLECTIONS.values())

    def load(bars):
        spec, splits = melodies.load(f"melodies_{bars}bar", cache=cache, validation=500)
        assert spec == DataSpec((16 * bars,), "events", classes=5, levels=90, names=names)
        return splits

    return load


@pytest.fixture(scope="module")
def windows(windows_of_corpus):
    return windows_of_corpus(2)


# --- grids ------------------------------------------------------------------------------------------------------------


def plain_canonical(grid):
    """A note-off where nothing sounds becomes a hold."""
    rows = []
    for row in grid.tolist():
        sounds = False
        for step, event in enumerate(row):
            row[step] = 0 if event == 1 and not sounds else event
            sounds = event >= 2 or (sounds and event == 0)
        rows.append(row)
    return np.array(rows, np.uint8)


@given(GRIDS)
def test_canonical_grids_are_what_notes_and_midi_give_back(grids):
    canonical = events.canonical(grids)
    np.testing.assert_array_equal(canonical, plain_canonical(grids))
    for grid, expected in zip(grids, canonical):
        notes = events.to_notes(grid)
        np.testing.assert_array_equal(events.to_notes(expected), notes)
        found = through_midi(notes) if len(notes) else notes  # a file without notes is an error
        np.testing.assert_array_equal(events.to_events(found, len(grid)), expected)


def through_midi(notes):
    (voice,) = midi.parse(midi.to_bytes(notes)).voices
    assert (voice.notes == np.rint(voice.notes)).all()
    return voice.notes.astype(int)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 40), st.integers(21, 108)), min_size=1, max_size=20))
def test_melodies_come_back_through_grid_and_midi_file(drawn):
    notes, place = [], 0
    for rest, duration, pitch in drawn:
        notes.append((place + rest, duration, pitch))
        place += rest + duration
    np.testing.assert_array_equal(events.to_notes(events.to_events(np.array(notes), place)), notes)
    np.testing.assert_array_equal(through_midi(np.array(notes)), notes)


@pytest.mark.parametrize("bars", [2, 16])
def test_every_window_of_the_corpus_comes_back_through_notes_and_midi_file(bars, windows_of_corpus):
    x = np.concatenate([side["x"] for side in windows_of_corpus(bars).values()])
    np.testing.assert_array_equal(events.canonical(x), x)
    # All windows in one line, each followed by a bar of silence; of them every 20th through a file, which takes longer.
    apart = np.concatenate([x, np.tile(np.uint8([[1, *[0] * 15]]), (len(x), 1))], axis=1)
    found = events.to_events(events.to_notes(apart.ravel()), apart.size).reshape(apart.shape)
    np.testing.assert_array_equal(found[:, :-16], x)
    some = events.to_notes(apart[::20].ravel())
    np.testing.assert_array_equal(through_midi(some), some)


def test_overlapping_notes_are_cut_and_the_highest_of_a_chord_stays():
    notes = np.array([(0, 8, 60), (4, 2, 64), (4, 8, 67), (4, 1, 62), (14, 9, 70)])
    np.testing.assert_array_equal(events.monophonic(notes), [(0, 4, 60), (4, 8, 67), (14, 9, 70)])
    grid = events.to_events(notes, 16)
    assert {step: int(event) for step, event in enumerate(grid) if event} == {0: 41, 4: 48, 12: 1, 14: 51}


@given(GRIDS, st.integers(-100, 100))
def test_transposition_moves_onsets_alone_and_stays_in_range(grids, semitones):
    moved = events.transposed(grids, np.full((len(grids), 1), semitones))
    assert moved.dtype == grids.dtype
    for row, other in zip(grids.astype(int), moved.astype(int)):
        onsets = row >= 2
        np.testing.assert_array_equal(other[~onsets], row[~onsets])
        if onsets.any():
            (shift,) = set(other[onsets] - row[onsets])
            low, high = 2 - row[onsets].min(), 89 - row[onsets].max()
            assert shift == min(max(semitones, low), high)


def test_transposition_is_the_same_on_the_device():
    generator = np.random.default_rng(0)
    grids, semitones = generator.integers(0, 90, (50, 8), np.uint8), generator.integers(-90, 90, (50, 1))
    grids[:30] %= 45
    moved = events.transposed(jnp.asarray(grids, jnp.float32), jnp.asarray(semitones))
    assert moved.dtype == jnp.float32
    np.testing.assert_array_equal(moved, events.transposed(grids, semitones))


def test_training_examples_are_transposed_afresh(key):
    x = jnp.asarray(np.tile(np.float32([[41, 0, 1, 0, 44, 0]]), (2000, 1)))
    prepare = corruptions.make_prepare(DataSpec((6,), "events", levels=90))
    assert corruptions.transposing(prepare, 0) is prepare
    draw = lambda key: corruptions.transposing(prepare, 5)(streams(key), {"x": x}, {})
    batch = draw(key)
    np.testing.assert_array_equal(batch["x"], batch["inputs"])
    shifts = np.asarray(batch["x"])[:, 0].astype(int) - 41
    counts = np.bincount(shifts + 5, minlength=11)
    assert len(counts) == 11 and (abs(counts - 2000 / 11) < 5 * np.sqrt(2000 / 11)).all()
    np.testing.assert_array_equal(draw(key)["x"], batch["x"])
    assert not np.array_equal(draw(jax.random.key(1))["x"], batch["x"])


def test_what_is_for_events_is_refused_for_pixels():
    config = vae.get_config("digits,smoke")
    config.data.transpose = 5
    with pytest.raises(UserError, match="data.transpose=5.*events"):
        experiment.build(config)


# --- windows ----------------------------------------------------------------------------------------------------------


def windows_of(tune: str, bars: int = 1, metre: str = "4/4"):
    (tunes,) = abc.read(f"X:1\nM:{metre}\nL:1/16\nK:C\n{tune}\n")
    grids, misfits = zip(*(events.windows(melody, bars) for melody in tunes))
    return np.concatenate(grids), sum(misfits)


def pitches(grid):
    return [int(event) + 19 for event in grid if event >= 2]


def test_windows_start_with_every_bar_and_cross_no_incomplete_one():
    grids, misfits = windows_of("C4|D16|E16|F16|G8|A16|B16|", bars=2)
    assert [pitches(grid) for grid in grids] == [[62, 64], [64, 65], [65, 67], [69, 71]]
    assert misfits == 0
    np.testing.assert_array_equal(np.flatnonzero(grids[2]), [0, 16, 24])  # silence fills the bar of 8 up
    assert grids[2][24] == 1


def test_a_repeat_in_the_midst_of_a_bar_is_no_bar_line():
    grids, _ = windows_of("C4|D16|E12:|:F4|G16|", bars=3)
    assert [pitches(grid) for grid in grids] == [[62, 64, 65, 67]]


def test_windows_with_triplets_are_left_out_and_counted():
    grids, misfits = windows_of("C16|(3D4E4F4 G8|A16|B16|", bars=2)
    assert [pitches(grid) for grid in grids] == [[69, 71]] and misfits == 2


def test_bars_of_duple_metres_are_put_together_and_others_have_no_windows():
    assert [pitches(grid) for grid in windows_of("C8|D8|E8|F8|", metre="2/4")[0]] == [[60, 62], [64, 65]]
    assert [pitches(grid) for grid in windows_of("C16D16|", metre="2/2")[0]] == [[60], [62]]
    assert len(windows_of("C12|D12|E12|F12|", metre="3/4")[0]) == len(windows_of("C12|D12|", metre="6/8")[0]) == 0


@pytest.mark.parametrize(
    ("metre", "bar", "expected"),
    [(metre, 12, [[60, 62], [62, 64], [64, 65]]) for metre in ("3/4", "6/8", "3/8", "12/8")]
    + [("9/8", 18, []), ("4/4", 12, [])],
)
def test_bars_of_other_lengths_have_windows_too(metre, bar, expected):
    (tune,) = abc.read(f"X:1\nM:{metre}\nL:1/16\nK:C\nC12|D12|E12|F12|\n")
    grids = np.concatenate([events.windows(melody, 2, bar)[0] for melody in tune])
    assert grids.shape[1] == 2 * bar and [pitches(grid) for grid in grids] == expected


def test_tunes_without_windows_are_counted_by_metre(tmp_path):
    tune = "X:1\nM:{}\nL:1/16\nK:C\nC12|D12|E12|F12|\n"
    (tmp_path / "a.abc").write_text("\n".join(map(tune.format, ("3/4", "6/8", "9/8", "4/4"))))
    found, counts = tunes.read([(tmp_path / "a.abc", 0)], 2, 16)
    assert not found and counts.tunes == 4 and counts.metres == {12: 2, 18: 1} and counts.short == 1
    lines = "\n".join(counts.lines(2, 16))
    assert "2 of 4 tunes are in 3/4 or 6/8" in lines and "data.bar=12" in lines and "data.bar=18" in lines
    found, counts = tunes.read([(tmp_path / "a.abc", 0)], 2, 12)
    assert len(found) == 2 and counts.metres == {18: 1, 16: 1}


def test_windows_of_silence_and_what_sounded_before_are_left_out():
    grids, _ = windows_of("C16-|C8z4D4|z16|")
    assert [pitches(grid) for grid in grids] == [[60], [62]]
    np.testing.assert_array_equal(np.flatnonzero(grids[1]), [12])


# --- ABC --------------------------------------------------------------------------------------------------------------


def notes_of(body: str, head: str = "M:4/4\nL:1/8\nK:C"):
    """[(onset, duration, pitch)] in eighths of all the melodies of a tune."""
    (tune,) = abc.read(f"X:1\n{head}\n{body}\n")
    return [(onset / 2, duration / 2, int(pitch)) for melody in tune for onset, duration, pitch in melody.notes]


PITCHES = {
    "naturals": ("C, C c c' B,, c''", "C", [48, 60, 72, 84, 47, 96]),
    "accidentals hold to the end of the bar": ("^F F f | F", "C", [66, 66, 78, 65]),
    "a natural cancels": ("^F =F F ^^F __B _B =B B", "C", [66, 65, 65, 67, 69, 70, 71, 71]),
    "a natural cancels the key": ("F =F F | F", "G", [66, 65, 65, 66]),
    "a tie carries an accidental over the bar line": ("^F-|F F", "C", [66, 65]),
    "flats": ("C D E F G A B", "Ab", [60, 61, 63, 65, 67, 68, 70]),
    "sharps": ("C D E F G A B", "F#m", [61, 62, 64, 66, 68, 69, 71]),
    "mixolydian": ("F C", "D Mixolydian", [66, 60]),
    "dorian": ("F C B", "Ador", [66, 60, 71]),
    "minor": ("B E A", "Gm", [70, 63, 69]),
    "phrygian, lydian, locrian": ("F C [K:Flyd] B [K:Bloc] F", "Ephr", [65, 60, 71, 65]),
    "accidentals of the key's own": ("C F c", "D =c", [60, 66, 72]),
    "no key": ("F B", "none", [65, 71]),
    "the key changes": ("F|\nK:G\nF|[K:D]C", "C", [65, 66, 61]),
    "chords": ("[CEG] [c2E2]", "C", [67, 72]),
    "grace notes, decorations, words": ('{gf}C "Am"D !trill!E .F ~G uA vB Tc', "C", [60, 62, 64, 65, 67, 69, 71, 72]),
    "decorations and chords between plus signs": (
        "+fermata+C +D.C.+D +ff+E +5+F +CEG+ A + B",
        "C",
        [60, 62, 64, 65, 67, 69, 71],
    ),
    "lines that begin as a field does": ("c::\nd:|\nD::\nN::A B\n+: A B\nz:: E", "C", [72, 74, 62, 64]),
    "comments and fields": ("C D % E F\nw: la la\nN: A B\nE", "C", [60, 62, 64]),
    "repeats and endings": ("|: C D |1 E :|2 F :: G [1 A :|[2 B ||", "C", [60, 62, 64, 65, 67, 69, 71]),
    "the first voice": ("[V:1] C D\n[V:2] c d\n[V:1] E", "C", [60, 62, 64]),
}


@pytest.mark.parametrize("case", PITCHES)
def test_abc_pitches(case):
    body, key, expected = PITCHES[case]
    assert [pitch for _, _, pitch in notes_of(body, f"M:4/4\nL:1/8\nK:{key}")] == expected


DURATIONS = {
    "lengths": ("C C2 C/ C/2 C3/2 C// C/4", [1, 2, 1 / 2, 1 / 2, 3 / 2, 1 / 4, 1 / 4]),
    "rests": ("z2 C z/ x/ C", [(2, 1), (4, 1)]),
    "broken rhythm": ("C>D C<D C>>D", [3 / 2, 1 / 2, 1 / 2, 3 / 2, 7 / 4, 1 / 4]),
    "broken rhythm of rests": ("z>C C<z C", [(1.5, 0.5), (2, 0.5), (4, 1)]),
    "triplet": ("(3CDE F", [2 / 3, 2 / 3, 2 / 3, 1]),
    "triplet of other lengths": ("(3:2:2 C2D E", [4 / 3, 2 / 3, 1]),
    "duplet": ("(2CD E", [3 / 2, 3 / 2, 1]),
    "triplet with a rest, broken": ("(3C>Dz E", [1, 1 / 3, (2, 1)]),
    "ties": ("C-C D-|D2-D", [2, 4]),
    "a tie to another pitch is a slur": ("C-D-C z", [1, 1, 1]),
    "a tie to a rest, and to an altered note": ("C-z C-^C", [1, (2, 1), (3, 1)]),
    "ties of chords": ("[CE]-[CE]", [2]),
    "the unit changes": ("C [L:1/16] C\nL:1/4\nC", [1, 1 / 2, 2]),
    "bars of rest": ("Z C", [(8, 1)]),
}


@pytest.mark.parametrize("case", DURATIONS)
def test_abc_durations(case):
    body, expected = DURATIONS[case]
    found, place = notes_of(body), 0
    assert len(found) == len(expected)
    for (onset, duration, _), wanted in zip(found, expected):
        place, wanted = wanted if isinstance(wanted, tuple) else (place, wanted)
        assert (onset, duration) == pytest.approx((place, wanted))
        place += wanted


def test_abc_metres_default_units_and_several_tunes():
    text = "%abc\nX:1\nT:a\nM:C|\nK:C\nC8|[M:3/4]D6|M:3/4\nE6|\n\nX:2\nM:2/4\nK:G\nF4|\nX:3\nT:nothing\n"
    first, second, third = abc.read(text)
    assert [(melody.bar, melody.end) for melody in first] == [(16, 16), (12, 24)]
    assert [(melody.bar, melody.end) for melody in second] == [(8, 4)]  # below 3/4 the unit is a sixteenth
    assert second[0].notes[0, 2] == 66 and third == []


@given(st.text("ABCdefg|:[]()-<>/'^_=,23KMLVZXxz{}!+\"\n% ", max_size=60))
def test_abc_reads_anything(text):
    for melody in sum(abc.read(f"X:1\nK:C\n{text}"), []):
        assert np.isfinite(melody.notes).all()
        events.windows(melody, 1)


def test_abc_agrees_with_symusic():
    symusic = pytest.importorskip("symusic")
    texts = [f.read_text("utf-8") for f in corpus("essenFolksong/*.abc", "oneills1850/*.abc", "ryansMammoth/*.abc")]
    tunes = [f"X:{tune}" for text in texts for tune in re.split(r"(?m)^X:", text)[1:]]
    # symusic plays repeats, graces and trills, and swings hornpipes.
    played = re.compile(r"[{}\[~TH]|:\||\|:|::|^R:\s*hornpipe", re.I | re.MULTILINE)
    body = lambda tune: re.sub(r"(?m)^[A-QS-Z]:.*$", "", tune)
    tunes = [tune for tune in tunes if not played.search(body(tune))]
    tunes, equal = tunes[:: len(tunes) // 200], 0
    for tune in tunes:
        theirs = sorted(
            (note.time, note.pitch) for track in symusic.Score.from_abc(tune).tracks for note in track.notes
        )
        ours, start = [], 0.0
        for melody in abc.read(tune)[0]:
            ours += [(start + onset, pitch) for onset, _, pitch in melody.notes]
            start += melody.end
        same = len(ours) == len(theirs) and np.allclose(ours, np.array(theirs) / [120, 1], atol=0.02)
        equal += same
    assert len(tunes) >= 200 and equal >= 0.98 * len(tunes)


# --- MIDI files -------------------------------------------------------------------------------------------------------

TEMPO = b"\xff\x51\x03"
END = b"\x00\xff\x2f\x00"
TUNE = b"\x00\x90\x3c\x40\x60\x80\x3c\x00" + END  # a quarter of middle C, where a quarter has 96 ticks


def midi_bytes(*tracks: bytes, division: bytes = b"\x00\x60", form: int = 1) -> bytes:
    head = b"MThd" + struct.pack(">IHH", 6, form, len(tracks)) + division
    return head + b"".join(b"MTrk" + struct.pack(">I", len(track)) + track for track in tracks)


def test_midi_of_tempo_changes_running_status_and_several_voices():
    conductor = b"\x00" + TEMPO + b"\x07\xa1\x20" + b"\x60" + TEMPO + b"\x03\x00\x00" + END
    # Running status, also after a meta message; onsets of velocity 0 end notes; program and pitch wheel are skipped.
    first = b"\x00\xff\x03\x05Flute\x00\xc0\x4a\x00\xe0\x00\x40\x00\x90\x3c\x40\x30\x3c\x00"
    first += b"\x00\xff\x01\x02hi\x00\x3e\x40\x81\x40\x3e\x00\x00\xf0\x02\x01\xf7" + END
    second = b"\x18\x91\x40\x40\x00\x99\x24\x40\x18\x81\x40\x00\x00\x89\x24\x00" + END
    score = midi.parse(midi_bytes(conductor, first, second))
    assert [str(voice) for voice in score.voices] == [
        "track 1, channel 0: Flute, 2 notes",
        "track 2, channel 1: no name, 1 notes",
        "track 2, channel 9: no name, 1 notes",
    ]
    np.testing.assert_array_equal(score.voices[0].notes, [[0, 2, 60], [2, 8, 62]])
    np.testing.assert_array_equal(score.voices[1].notes, [[1, 1, 64]])
    assert [voice.is_melodic for voice in score.voices] == [True, True, False]  # channel 9 is percussion


def test_midi_of_overlapping_notes():
    # C sounds twice at once and ends twice; E begins while it does; F, never ended, goes on to the end of the track.
    track = b"\x00\x90\x3c\x40\x18\x3c\x40\x18\x80\x3c\x00\x18\x90\x40\x40\x18\x80\x3c\x00\x18\x40\x00"
    (voice,) = midi.parse(midi_bytes(track + b"\x00\x90\x41\x40\x60" + END[1:])).voices
    np.testing.assert_array_equal(voice.notes, [[0, 2, 60], [1, 3, 60], [3, 2, 64], [5, 4, 65]])
    (melody,) = midi.melodies(midi.Score([voice], []), voice)
    np.testing.assert_array_equal(melody.notes, [[0, 1, 60], [1, 2, 60], [3, 2, 64], [5, 4, 65]])


def test_midi_of_metre_changes_has_windows_within_each_metre():
    metre = lambda delta, numerator: delta + b"\xff\x58\x04" + bytes([numerator, 2, 24, 8])
    whole = lambda pitch: bytes([0, 0x90, pitch, 64, 0x83, 0, 0x80, pitch, 0])
    notes = b"".join(map(whole, (60, 62, 64, 65, 67, 69)))
    # 4/4 for two bars, 3/4 for four, then 4/4 again.
    metres = metre(b"\x00", 4) + metre(b"\x86\x00", 3) + metre(b"\x89\x00", 4) + END
    score = midi.parse(midi_bytes(metres, notes + END))
    found = midi.melodies(score, score.voices[0])
    assert [(melody.bar, melody.end) for melody in found] == [(16, 32), (12, 48), (16, 16)]
    grids = [events.windows(melody, 1)[0] for melody in found]
    assert [[pitches(grid) for grid in stretch] for stretch in grids] == [[[60], [62]], [], [[69]]]


def test_midi_times_are_rounded_to_sixteenths():
    track = b"\x03\x90\x3c\x40\x03\x80\x3c\x00\x14\x90\x3e\x40\x15\x80\x3e\x00" + END  # 3-6, 26-47 of 24 a step
    score = midi.parse(midi_bytes(track))
    (melody,) = midi.melodies(score, score.voices[0])
    np.testing.assert_array_equal(melody.notes, [[0, 1, 60], [1, 1, 62]])


PLAYED = np.array([(16 * bar + 4 * beat + late, 4, pitch) for bar in range(4) for beat in range(4)
                   for late, pitch in ((0.02, 60 + beat), (0.1, 64 + bar))])  # fmt: skip


def test_a_recorded_chord_is_no_melody_though_its_notes_never_begin_together():
    voice = midi.Voice(0, 0, "", PLAYED)
    assert not voice.is_melodic and voice.was_melodic  # the second is the rule of older runs
    assert midi.Voice(0, 0, "", PLAYED[::2]).is_melodic


def test_notes_that_rounding_moves_or_drops_are_counted(tmp_path):
    counts = tunes.Counts()
    counts.add_voice(np.array([(0, 4, 60), (0.25, 4, 64), (4, 2, 60), (8.1, 2, 60)]))
    assert (counts.notes, counts.moved, counts.dropped) == (4, 2, 1) and counts.shift == pytest.approx(0.35)
    moved, dropped = counts.lines()
    assert "2 of 4 notes" in moved and "by 0.1" in moved and "1 of 4 notes" in dropped


def test_notes_are_placed_between_the_beats_of_a_side_file(tmp_path):
    """Beats that become slower; the notes follow them, though the file's own tempo, which changes too, does not."""
    times = 0.3 + np.cumsum([0, *np.linspace(0.4, 0.6, 16)])
    rows = [f"{time} {float(n % 2 == 0)} {float(n % 4 == 1)}" for n, time in enumerate(times)]
    (tmp_path / "beats.txt").write_text("\n".join(rows))
    seconds = np.sort(np.concatenate([times[1:-1], (times[1:-1] + times[2:]) / 2]))  # two notes a beat
    # Half a second a quarter for the first two quarters, then a quarter of a second.
    position = np.where(seconds < 1, seconds * 8, 8 + (seconds - 1) * 16)
    voice = midi.Voice(0, 0, "", np.column_stack([position, np.full(len(position), 0.5), np.full(len(position), 60)]))
    score = midi.Score([voice], [], tempos=[(0.0, 0.125), (8.0, 0.0625)])
    np.testing.assert_allclose(score.seconds(position), seconds)
    found = beats.read(tmp_path / "beats.txt")
    placed = beats.placed(voice, score, found)
    np.testing.assert_allclose(placed.notes[:, 0], 4 + 2 * np.arange(len(seconds)), atol=1e-9)
    melody = beats.melody(placed, found, 12)
    assert melody.bar == 16 and melody.barlines.tolist() == [4, 20, 36, 52]
    grids, misfits = events.windows(melody, 1)
    assert misfits == 0 and [len(pitches(grid)) for grid in grids] == [8, 8, 8, 6]
    for text in ("", "0.5 1\n0.4 0\n", "a b"):
        (tmp_path / "beats.txt").write_text(text)
        with pytest.raises(UserError, match="beats.txt.*\nuse a line for each beat"):
            beats.read(tmp_path / "beats.txt")
    with pytest.raises(UserError, match="none.txt is not there"):
        beats.read(tmp_path / "none.txt")


def test_the_tempo_of_a_file_tells_the_seconds():
    score = midi.parse(midi_bytes(b"\x00" + TEMPO + b"\x0f\x42\x40" + TUNE))  # a second a quarter
    np.testing.assert_allclose(score.seconds(np.array([0, 4, 10])), [0, 1, 2.5])
    np.testing.assert_allclose(midi.parse(midi_bytes(TUNE)).seconds(np.array([8])), [1])


def test_midi_in_frames_of_a_second_lasts_as_at_120_quarters_a_minute():
    (voice,) = midi.parse(midi_bytes(TUNE, division=struct.pack(">bB", -24, 8))).voices  # 192 ticks a second
    np.testing.assert_array_equal(voice.notes, [[0, 4, 60]])


USABLE = {
    "cut short": midi_bytes(TUNE[:-4]),
    "cut within a message": midi_bytes(TUNE[:-4] + b"\x00\x90\x3e"),
    "cut within a text": midi_bytes(TUNE[:-4] + b"\x00\xff\x01\x7fabc"),
    "a byte out of range": midi_bytes(TUNE[:-4] + b"\x00\x90\xfe\x01"),
    "a pitch out of range, then the tune": midi_bytes(b"\x00\x90\xfe\x01" + TUNE),
    "a velocity out of range": midi_bytes(TUNE.replace(b"\x3c\x40", b"\x3c\xc0")),
    "a controller out of range": midi_bytes(b"\x00\xb0\x07\xff\x00\xc0\xfe" + TUNE),
    "messages of the system": midi_bytes(b"\x00\xf1\x58\x00\xf2\x3c\x40\x00\xf3\x3c\x00\xf6\x00\xf8" + TUNE),
    "a number too long": midi_bytes(TUNE[:-4] + b"\xff\xff\xff\xff\xff"),
    "a chunk that claims too much": midi_bytes(TUNE).replace(b"MTrk\x00", b"MTrk\x7f"),
    "a chunk that claims too little": midi_bytes(TUNE).replace(b"\x0cMTrk\x00\x00\x00\x0c", b"MTrk\x00\x00\x00\x01"),
    "a chunk of another kind": midi_bytes(TUNE).replace(b"MTrk", b"XYZZ\x00\x00\x00\x02abMTrk"),
    "within another file": b"RIFF\x00\x01\x00\x00RMIDdata\x00\x00\x00\x00" + midi_bytes(TUNE),
    "a damaged track before": midi_bytes(b"\x00\x3c", TUNE),
    "a damaged track after": midi_bytes(TUNE, b"\x00\x3c"),
    "an unknown meta message": midi_bytes(b"\x00\x90\x3c\x40\x60\xff\x4b\x01\x00\x00\x80\x3c\x00" + END),
    "a key that does not exist": midi_bytes(b"\x00\xff\x59\x02\x09\x00" + TUNE),
    "more tracks than the header counts": midi_bytes(END, TUNE).replace(b"\x00\x02\x00\x60", b"\x00\x01\x00\x60"),
    "fewer tracks than the header counts": midi_bytes(TUNE).replace(b"\x00\x01\x00\x60", b"\x00\x02\x00\x60"),
}


@pytest.mark.parametrize("case", USABLE)
def test_midi_uses_what_is_usable(case):
    notes = [voice.notes for voice in midi.parse(USABLE[case]).voices]
    np.testing.assert_array_equal(notes, [[[0, 4, 60]]])


def test_the_fallback_reads_an_undamaged_file_as_mido_does(monkeypatch):
    metre = b"\x00\xff\x58\x04\x03\x02\x18\x08" + END
    named = b"\x00\xff\x03\x06Fl\xc3\xb6te\x00\xc0\x4a\x00\xf0\x02\x01\xf7\x00\xe0\x00\x40" + TUNE
    data = midi_bytes(metre, named, TUNE.replace(b"\x3c", b"\x40"))
    by_mido = midi.parse(data)
    monkeypatch.setattr(midi_messages, "_by_mido", lambda data: None)
    by_fallback = midi.parse(data)
    assert (by_mido.metres, by_mido.damage, by_mido.voices[0].name) == ([(0, 12)], "", "Flöte")
    assert (by_fallback.metres, by_fallback.damage) == (by_mido.metres, "")
    assert [str(voice) for voice in by_mido.voices] == [str(voice) for voice in by_fallback.voices]
    for voice, pitch, other in zip(by_mido.voices, (60, 64), by_fallback.voices, strict=True):
        np.testing.assert_array_equal(voice.notes, [[0, 4, pitch]])
        np.testing.assert_array_equal(voice.notes, other.notes)


UNUSABLE = {
    "empty": (b"", "no header MThd"),
    "text": (b"hello, this is no music at all", "no header MThd"),
    "cut header": (midi_bytes(TUNE)[:12], "ends in its header"),
    "no ticks": (midi_bytes(TUNE, division=b"\x00\x00"), "0 ticks"),
    "no tracks": (midi_bytes(), "has no notes"),
    "no notes": (midi_bytes(END), "has no notes$"),
    "no status": (midi_bytes(b"\x00\x3c\x40"), "no notes; track 0 is damaged: it begins without a status"),
    "cut track": (midi_bytes(b"\x00\x90"), "no notes; track 0 is damaged: it ends early"),
    "days": (midi_bytes(b"\xff\xff\xff\x7f\x90\x3c\x40" + TUNE), "track 0 is damaged: it lasts for days"),
}


@pytest.mark.parametrize("case", UNUSABLE)
def test_midi_names_file_and_reason(case, tmp_path):
    data, reason = UNUSABLE[case]
    (tmp_path / "bad.mid").write_bytes(data)
    with pytest.raises(UserError, match=f"bad.mid.*{reason}"):
        midi.read(tmp_path / "bad.mid")


def test_midi_names_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match=r"none.mid cannot be read: No such file"):
        midi.read(tmp_path / "none.mid")


@given(st.data())
def test_midi_of_any_bytes_is_a_score_or_a_users_error(data):
    notes = np.array([(0, 4, 60), (4, 2, 62), (8, 300, 64)])
    raw = bytearray(midi.to_bytes(notes))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        score = midi.parse(bytes(raw[: data.draw(st.integers(0, len(raw)))]))
    except UserError:
        return
    for voice in score.voices:
        for melody in midi.melodies(score, voice):
            events.windows(melody, 1)


def test_symusic_reads_the_files_written_here():
    symusic = pytest.importorskip("symusic")
    notes = np.array([(0, 4, 60), (4, 1, 62), (5, 300, 62), (400, 2, 21), (402, 1, 108)])
    score = symusic.Score.from_midi(midi.to_bytes(notes, steps=480, tempo=90.0, program=73))
    (track,) = score.tracks
    found = [(note.time / 120, note.duration / 120, note.pitch) for note in track.notes]
    np.testing.assert_array_equal(found, notes)
    assert (score.tempos[0].qpm, track.program) == (pytest.approx(90), 73)


def assert_equals_symusic(symusic, files):
    for file in files:
        score = symusic.Score(file)
        theirs = [(n.time, n.duration, n.pitch) for track in score.tracks for n in track.notes if n.duration]
        theirs = np.array(sorted(theirs)) / [score.ticks_per_quarter / 4, score.ticks_per_quarter / 4, 1]
        ours = np.concatenate([voice.notes for voice in midi.read(file).voices])
        np.testing.assert_allclose(ours[np.lexsort(ours.T[::-1])], theirs)


def test_midi_agrees_with_symusic_on_files_of_other_programs():
    symusic = pytest.importorskip("symusic")
    corpus("bach/*.mxl")
    files = sorted(Path(find_spec("music21").origin).parent.rglob("*.mid"))
    assert_equals_symusic(symusic, files)
    assert len(files) == 23


@pytest.mark.long
def test_midi_agrees_with_symusic_on_pop909_whose_beats_are_its_bars(tmp_path):
    symusic = pytest.importorskip("symusic")
    archive = Path(os.environ.get("AE_JAX_DATA_DIR", ""), "pop909/pop909_midi.tar.xz")
    if not archive.is_file():
        pytest.skip("no pop909 in $AE_JAX_DATA_DIR")
    with tarfile.open(archive) as packed:
        packed.extractall(tmp_path, filter="data")
    files = sorted(tmp_path.rglob("*.mid"))
    assert_equals_symusic(symusic, files)
    assert len(files) == 200
    some = [(file, 0) for file in files[:20]]
    (_, plain), (found, counts) = tunes.read(some, 2, 16), tunes.read(some, 2, 16, "beat_midi.txt")
    assert len(found) == counts.tunes == 20 and counts.dropped < 0.01 * counts.notes
    assert counts.shift / counts.notes < 0.05 < 0.2 < plain.shift / plain.notes  # onsets lie on the beats' sixteenths


def test_tunes_of_abc_come_back_through_midi_files_as_symusic_reads_them():
    symusic = pytest.importorskip("symusic")
    found = [tune[0] for file in corpus("ryansMammoth/*.abc") for tune in abc.read(file.read_text("utf-8")) if tune]
    for melody in found[:200]:
        notes = events.monophonic(events.rounded(melody.notes)).astype(int)
        (track,) = symusic.Score.from_midi(midi.to_bytes(notes)).tracks
        theirs = [(note.time / 120, note.duration / 120, note.pitch) for note in track.notes]
        np.testing.assert_array_equal(theirs, notes)
        np.testing.assert_array_equal(through_midi(notes), notes)
    assert len(found) >= 200


# --- MusicXML ---------------------------------------------------------------------------------------------------------


def xml_note(step="", duration=1, inner="", alter=0, octave=4):
    pitch = f"<pitch><step>{step}</step><alter>{alter}</alter><octave>{octave}</octave></pitch>" if step else "<rest/>"
    return f"<note>{pitch}<duration>{duration}</duration>{inner}<voice>1</voice></note>"


def mxl_file(folder, score: str) -> Path:
    """Write a compressed MusicXML file, and return its path."""
    with zipfile.ZipFile(folder / "a.mxl", "w") as archive:
        archive.writestr("META-INF/container.xml", "<container/>")
        archive.writestr("a.xml", score)
    return folder / "a.mxl"


def test_musicxml_reads_the_soprano(tmp_path):
    time = lambda beats: (
        f"<attributes><divisions>2</divisions><time><beats>{beats}</beats><beat-type>4</beat-type></time></attributes>"
    )
    grace = "<note><grace/><pitch><step>A</step><octave>5</octave></pitch></note>"
    chord = "<note><chord/><pitch><step>A</step><octave>3</octave></pitch><duration>4</duration></note>"
    other = xml_note("G", 8).replace("<voice>1", "<voice>2")
    bars = [
        time(4) + grace + xml_note("C", 4, alter=1) + chord + xml_note("D", 4, '<tie type="start"/>'),
        xml_note("D", 2, '<tie type="stop"/>') + xml_note() + xml_note("B", 5, alter=-1, octave=5)
        + "<backup><duration>8</duration></backup>" + other,
        time(3) + "<forward><duration>2</duration></forward>" + xml_note("E", 4),
    ]  # fmt: skip
    part = "".join(f"<measure>{bar}</measure>" for bar in bars)
    names = "".join(
        f'<score-part id="{i}"><part-name>{n}</part-name></score-part>' for i, n in enumerate("Horn Soprano".split())
    )
    parts = f'<part-list>{names}</part-list><part id="0"/><part id="1">{part}</part>'
    first, second = musicxml.read(mxl_file(tmp_path, f"<score-partwise>{parts}</score-partwise>"))
    np.testing.assert_array_equal(first.notes, [[0, 8, 61], [8, 12, 62], [22, 10, 82]])
    assert (first.bar, first.end, first.barlines.tolist()) == (16, 32, [16, 32])
    np.testing.assert_array_equal(second.notes, [[4, 8, 64]])
    assert (second.bar, second.end) == (12, 12)


INCOMPLETE = {
    "no beat type": ("<attributes><time><beats>4</beats></time></attributes>", "<time> has no <beat-type>"),
    "a beat type of 0": (
        "<attributes><time><beats>4</beats><beat-type>0</beat-type></time></attributes>",
        "<beat-type> of a <time> is 0",
    ),
    "divisions of 0": ("<attributes><divisions>0</divisions></attributes>", "<divisions> of a <attributes> is 0"),
    "no step": (xml_note("C").replace("<step>C</step>", ""), "<step> of a <pitch> is ''.*C, D, E, F, G, A, B"),
    "no such step": (xml_note("H"), "<step> of a <pitch> is 'H'"),
    "no octave": (xml_note("C").replace("<octave>4</octave>", ""), "<pitch> has no <octave>"),
    "a word for an octave": (xml_note("C", octave="low"), "<octave> of a <pitch> is 'low', expected a number"),
    "a duration that is no number": (xml_note("C", "nan"), "<duration> of a <note> is 'nan', expected a number"),
}


@pytest.mark.parametrize("case", INCOMPLETE)
def test_musicxml_names_the_measure_that_is_incomplete(case, tmp_path):
    measure, reason = INCOMPLETE[case]
    part = f'<part><measure number="7">{xml_note("C")}</measure><measure number="8">{measure}</measure></part>'
    file = mxl_file(tmp_path, f"<score-partwise>{part}</score-partwise>")
    with pytest.raises(UserError, match=f"a.mxl is damaged in measure 8: {reason}.*\nexport it again") as error:
        musicxml.read(file)
    assert str(error.value).count("\n") == 1


def test_musicxml_names_a_bad_file(tmp_path):
    (tmp_path / "text.mxl").write_text("no zip")
    for name, content in (("empty.mxl", {}), ("cut.mxl", {"a.xml": "<score"}), ("other.mxl", {"a.xml": "<opus/>"})):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            for inner, text in content.items():
                archive.writestr(inner, text)
    for name in ("text.mxl", "empty.mxl", "cut.mxl", "other.mxl", "none.mxl"):
        with pytest.raises(UserError, match=f"{name} (cannot be read|holds no parts)"):
            musicxml.read(tmp_path / name)


# --- the data source --------------------------------------------------------------------------------------------------


def windows_by_side(splits):
    """{side: ({window}, {window moved down as far as it goes})}"""
    lowest = lambda x: events.transposed(x, np.full((len(x), 1), -90))
    return {
        side: [{row.tobytes() for row in f(np.asarray(s["x"]))} for f in (np.copy, lowest)]
        for side, s in splits.items()
    }


def test_the_corpus_has_the_windows_that_were_counted(windows):
    x, label = (np.concatenate([side[key] for side in windows.values()]) for key in ("x", "label"))
    assert 0.9 < len(x) / 65_600 < 1  # some training windows are left out, because they are near held-out ones
    assert 0.55 < (x == 0).mean() < 0.65 and x.max() < 90
    assert np.bincount(label, minlength=5).min() > 2000
    assert 0.08 < len(windows["test"]["x"]) / len(x) < 0.12 and 450 < len(windows["validation"]["x"]) < 550
    assert np.ptp(np.bincount(windows["train"]["label"][-5000:])) < 5000  # the end is not of one collection


def test_no_window_stands_on_both_sides_or_twice(windows):
    sides = windows_by_side(windows)
    assert [len(sides[side][0]) for side in sides] == [len(windows[side]["x"]) for side in sides]
    in_lowest_key = [moved for _, moved in sides.values()]
    assert len(set.union(*in_lowest_key)) == sum(map(len, in_lowest_key))


def least_distances(x, others):
    """The least number of events in which each window of x differs from one of the others, in any of 49 keys."""
    return [min((transposed(row, k) != others).sum(axis=1).min() for k in range(-24, 25)) for row in x]


def transposed(row, semitones):
    return np.where(row >= 2, row.astype(int) + semitones, row).clip(0, 255).astype(np.uint8)


def test_no_training_window_is_within_two_events_of_a_held_out_one_in_any_key(windows):
    for side in ("test", "validation"):
        held = windows[side]["x"][::400]
        assert min(least_distances(held, windows["train"]["x"])) > 2


def test_near_windows_are_those_that_a_search_over_all_keys_finds():
    generator = np.random.default_rng(0)
    held = generator.choice(np.uint8([0, 0, 1, 40, 42, 45]), (30, 9))
    x = held[generator.integers(30, size=300)]
    for _ in range(3):  # up to three events become others
        x[np.arange(300), generator.integers(9, size=300)] = generator.choice(np.uint8([0, 1, 40, 42, 47]), 300)
    x = np.stack([transposed(row, k) for row, k in zip(x, generator.integers(-9, 10, 300))])
    for most in (0, 1, 2):
        found, expected = families.near(x, held, most), np.array(least_distances(x, held)) <= most
        np.testing.assert_array_equal(found, expected)
        assert 0 < found.sum() < 300


def test_families_are_held_out_whole():
    """Tunes 0 to 3 are linked by common windows, in several keys; tune 4 is alone, and so are all others."""
    grids = np.zeros((40, 32), np.uint8)
    grids[:, 0], grids[np.arange(40), 1 + np.arange(40) % 31] = 30, 40 + np.arange(40)
    links = [[0, 1], [1, 2], [2, 3], [3], [4], *([n] for n in range(5, 40))]
    found = [
        tunes.Tune(0, np.stack([transposed(grids[n], key) for n in numbers]), b"") for key, numbers in enumerate(links)
    ]
    together = [{id(tune) for tune in family} for family in families.families(found)]
    assert {id(tune) for tune in found[:4]} in together and len(together) == 37
    splits = families.split(found, 0.1, 3)
    sizes = {name: len(chosen) for name, chosen in splits.items()}
    assert sizes == {"train": 33, "validation": 3, "test": 4}
    sides = {name: {id(tune) for tune in chosen} for name, chosen in splits.items()}
    assert sum(bool(side & {id(tune) for tune in found[:4]}) for side in sides.values()) == 1


@pytest.fixture
def folder(tmp_path):
    """A folder of forty tunes of eight bars, of a copy of one, of chords, of a bad file and of no music."""
    generator = np.random.default_rng(0)
    (tmp_path / "tunes" / "more").mkdir(parents=True)
    for i in range(40):
        notes = np.column_stack([np.arange(0, 128, 4), np.full(32, 4), generator.integers(55, 80, 32)])
        (tmp_path / "tunes" / ("more" * (i % 2)) / f"{i}.mid").write_bytes(midi.to_bytes(notes))
    (tmp_path / "tunes" / "copy.MIDI").write_bytes(midi.to_bytes(notes))
    chords = np.array([(4 * (i // 2), 4, 60 + i) for i in range(40)])
    (tmp_path / "tunes" / "chords.mid").write_bytes(midi.to_bytes(chords))
    (tmp_path / "tunes" / "bad.mid").write_bytes(b"MThd")
    (tmp_path / "tunes" / "notes.txt").write_text("no music")
    return tmp_path / "tunes"


def test_a_folder_of_midi_files_is_read_once(folder, tmp_path, capfd):
    load = lambda split="0.25": melodies.load("melodies_2bar", str(folder), split, str(tmp_path / "cache"))
    spec, splits = load()
    assert spec == DataSpec((32,), "events", levels=90) and set(splits["train"]) == {"x"}
    assert sum(len(side["x"]) for side in splits.values()) == 40 * 7
    assert all(len(side["x"]) % 7 == 0 for side in splits.values())  # whole tunes
    sides = windows_by_side(splits)
    assert not sides["train"][1] & sides["test"][1]
    assert re.search(r"left out: .*bad.mid is no MIDI file", capfd.readouterr().err)
    again = load()[1]
    assert capfd.readouterr().err == ""
    jax.tree.map(np.testing.assert_array_equal, again, splits)
    assert len(load("0.5")[1]["test"]["x"]) > len(splits["test"]["x"])
    spec, _ = melodies.load("melodies_4bar", str(folder), "0.5", str(tmp_path / "cache"))
    assert spec.shape == (64,)
    (folder / "0.mid").unlink()
    assert sum(len(side["x"]) for side in load()[1].values()) == 39 * 7


def test_windows_of_one_tune_are_not_both_trained_and_validated_on(folder, tmp_path):
    config = vae.get_config("digits,smoke")
    config.data.update(source="melodies", name="melodies_2bar", path=str(folder), cache=str(tmp_path / "cache"))
    config.data.validation = 30
    found = experiment.build(config).splits
    assert len(found["validation"]["x"]) == 35  # whole tunes of seven windows
    whole = melodies.load("melodies_2bar", str(folder), cache=str(tmp_path / "cache"))[1]
    np.testing.assert_array_equal(found["test"]["x"], whole["test"]["x"])
    joined = np.concatenate([found["validation"]["x"], found["train"]["x"]])
    np.testing.assert_array_equal(joined, whole["train"]["x"])
    whole = melodies.load("melodies_2bar", str(folder), cache=str(tmp_path / "cache"), format_number=1)[1]
    old = experiment.build(config, format=1).splits
    np.testing.assert_array_equal(old["validation"]["x"], whole["train"]["x"][-30:])
    config.data.validation = 1000
    with pytest.raises(UserError, match="0 in train.*\n.*a smaller data.validation"):
        experiment.build(config)


def test_no_window_is_a_transposed_one_of_another_split(folder, tmp_path):
    generator = np.random.default_rng(1)
    phrases = generator.integers(55, 75, (20, 16))
    for i in range(40):  # four bars of one phrase, then four bars of another, each in a key of its own
        pitches = np.concatenate([phrase + generator.integers(5) for phrase in phrases[generator.integers(20, size=2)]])
        notes = np.column_stack([np.arange(0, 128, 4), np.full(32, 4), pitches])
        (folder / f"phrases{i}.mid").write_bytes(midi.to_bytes(notes))
    found = melodies.load("melodies_2bar", str(folder), "0.25", str(tmp_path / "cache"), validation=100)[1]
    lowest = {name: moved for name, (_, moved) in windows_by_side(found).items()}
    assert len(found["train"]["x"]) > 100 and len(found["validation"]["x"]) > 50
    assert not lowest["train"] & lowest["validation"] and not lowest["train"] & lowest["test"]
    assert not lowest["validation"] & lowest["test"]


def test_old_runs_keep_the_split_by_the_intervals_of_tunes(folder, tmp_path):
    found = melodies.load("melodies_2bar", str(folder), "0.25", str(tmp_path / "cache"), format_number=2)[1]
    expected = set()
    for file in sorted(folder.rglob("*.mid")):
        if file.stem.isdigit():
            (voice,) = midi.read(file).voices
            if hashlib.sha256(np.diff(voice.notes[:, 2]).tobytes()).digest()[0] < 64:
                line = midi.grid(voice)
                expected |= {line[start : start + 32].tobytes() for start in range(0, 112, 16)}
    assert {row.tobytes() for row in np.asarray(found["test"]["x"])} == expected


def test_training_windows_are_transposed_and_held_out_ones_are_not(folder, tmp_path):
    config = vae.get_config("digits,smoke")
    section = {"source": "melodies", "name": "melodies_2bar", "path": str(folder), "cache": str(tmp_path / "cache")}
    config.data.update(**section, validation=0)
    config.model.likelihood = "gaussian"
    draws = []
    for semitones in (0, 5):
        config.data.transpose = semitones
        built = experiment.build(config)
        batch = next(iter(built.held_out(built.splits["test"], 8)))
        np.testing.assert_array_equal(batch["x"], built.splits["test"]["x"][:8])
        np.testing.assert_array_equal(batch["inputs"], batch["x"])
        traced = jax.make_jaxpr(built.step)(built.state_shapes(), built.example(), built.hparams)
        draws.append(str(traced).count("random_bits"))
    assert draws[0] < draws[1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "melodies_two"}, "'melodies_two'.*\nexpected melodies_2bar"),
        ({"split": "1.5"}, "share"),
        ({"split": "third"}, "share"),
        ({"path": "nowhere"}, "'nowhere' is not there"),
        ({"path": __file__}, "is a file"),
        ({"path": "."}, "holds no .mid files"),
        ({"name": "melodies_16bar"}, "0 in train, 0 in test"),
        ({"bar": 0}, "data.bar=0"),
        ({"beats": "beats.txt", "path": ""}, "data.beats='beats.txt'.*\nset data.path"),
    ],
)
def test_melodies_are_refused_with_a_reason(options, message, folder, tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    with pytest.raises(UserError, match=message):
        melodies.load(**{"path": str(folder), "cache": str(tmp_path / "cache")} | options)


def test_without_music21_the_user_hears_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "music21", None)
    with pytest.raises(UserError, match=r"pip install -e '.\[music\]'"):
        melodies.load(cache=str(tmp_path))


# --- scores -----------------------------------------------------------------------------------------------------------


def test_scores_of_a_case_by_hand():
    truth = np.uint8([[40, 0, 42, 0, 44, 1, 0, 0], [0] * 8])
    found = np.uint8([[40, 0, 43, 0, 0, 1, 50, 0], [0] * 8])
    result = scores.scores(found, truth)
    np.testing.assert_allclose(result["accuracy"], [5 / 8, 1])
    np.testing.assert_allclose(result["note_f1"], [2 * 1 / 6, 1])
    np.testing.assert_allclose(result["onset_f1"], [2 * 2 / 6, 1])
    np.testing.assert_allclose(result["onset_pitch_accuracy"], [1 / 2, np.nan])


@given(GRIDS, GRIDS)
def test_scores_are_perfect_for_the_truth_and_symmetric(a, b):
    for name, values in scores.scores(a, a).items():
        assert (np.isnan(values) | (values == 1)).all(), name
    steps, rows = min(a.shape[1], b.shape[1]), min(len(a), len(b))
    a, b = a[:rows, :steps], b[:rows, :steps]
    jax.tree.map(np.testing.assert_array_equal, scores.scores(a, b), scores.scores(b, a))
    assert (scores.scores(a, b)["note_f1"] <= scores.scores(a, b)["onset_f1"]).all()


def test_baselines_answer_what_their_names_say():
    # The same event never follows the same event twice as often as another, but 50 after a hold after the beginning.
    train = np.uint8([[40, 0, 50, 0], [40, 0, 50, 1], [41, 0, 50, 1]])
    truth = np.uint8([[41, 0, 0, 50], [0, 50, 1, 0]])
    found = scores.baselines(train, truth)
    np.testing.assert_array_equal(found["always_hold"], np.zeros((2, 4)))
    np.testing.assert_array_equal(found["most_likely"], [[40, 0, 50, 1]] * 2)
    np.testing.assert_array_equal(found["markov"], [[40, 0, 50, 50], [40, 50, 1, 0]])
    np.testing.assert_array_equal(found["eighth_notes"], [[50, 0, 50, 0]] * 2)


def test_transitions_are_counted_each_pair_once_too_often():
    train = np.random.default_rng(0).choice(np.uint8([0, 0, 1, 40, 41, 50]), (30, 8))
    np.testing.assert_allclose(np.exp(scores.log_transitions(train)).sum(axis=1), np.ones(90))
    counts = lambda pair: sum((row[:-1] == pair[0])[row[1:] == pair[1]].sum() for row in train)
    p = (counts((40, 0)) + 1) / ((train[:, :-1] == 40).sum() + 90)
    np.testing.assert_allclose(scores.log_transitions(train)[40, 0], np.log(p))
