"""Melodies as grids of events: the folk tunes and chorales inside the `music21` wheel, or a folder of MIDI files.

Of the corpus, 8,514 folk songs of the Essen collection may not be used commercially: its arrays stay in the cache.
Windows overlap and tunes come in variants, so both sides of the split are kept apart thrice: tunes with the same notes
stand on one side, a window stands there once, and no training window is a transposed test window.
"""

import hashlib
import importlib.util
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ae_jax.core.errors import UserError
from ae_jax.core.types import DataSpec
from ae_jax.data import cached
from ae_jax.data.music import abc, events, midi, midi_fallback, musicxml
from ae_jax.data.music.events import Melody

# The folders of the corpus, in the order of the labels.
COLLECTIONS = {"essenFolksong": "*.abc", "oneills1850": "*.abc", "ryansMammoth": "*.abc", "airdsAirs": "*.abc"}
COLLECTIONS |= {"bach": "*.mxl"}
_READERS = (abc, events, midi, midi_fallback, musicxml, sys.modules[__name__])  # what the cached arrays depend on


def load(name: str = "", path: str = "", split: str = "", cache: str = "") -> tuple[DataSpec, dict]:
    """The windows of `name`, such as "melodies_2bar" (the default) or "melodies_16bar": x [N, 16 bars], event classes.

    path   folder of MIDI files, subfolders included, read instead of the corpus
    split  share of the tunes to test on (default 0.1); which, their notes decide
    cache  folder for the arrays (default ~/.cache/ae_jax, or below $XDG_CACHE_HOME)

    x is uint8, as `music.events` has it, in an order that depends on the notes alone; the corpus has labels, the places
    in COLLECTIONS. Raises UserError where music21 is not installed, a folder has no melodies, or one side is empty.
    """
    bars = re.fullmatch(r"melodies_([1-9]\d*)bar", name or "melodies_2bar")
    if not bars:
        raise UserError(f"data.name={name!r} names no windows of melodies\nexpected melodies_2bar, melodies_16bar, ...")
    share = _share(split or "0.1")
    files = _midi_files(path) if path else _corpus()
    readers = [Path(reader.__file__).read_text() for reader in _READERS]
    stamps = cached.stamps(file for file, _ in files)
    folder = cached.folder(cache, "melodies", [bars[0], share, stamps, readers])

    def make():
        print(f"reading {len(files)} files of melodies into {folder}, once", file=sys.stderr)
        sides = _sides(_tunes(files), int(bars[1]), share)
        if not all(len(x) for x, _ in sides):
            counts = " and ".join(str(len(x)) for x, _ in sides)
            raise UserError(
                f"{path or 'the corpus'} has {counts} windows to train and to test on\nexpected some of each"
            )
        names = () if path else tuple(COLLECTIONS)
        splits = {
            side: {"x": x} if path else {"x": x, "label": label} for side, (x, label) in zip(cached.SPLITS, sides)
        }
        cached.write(folder, DataSpec(sides[0][0].shape[1:], "events", len(names), events.CLASSES, names), splits)

    return cached.kept(folder, make)


def _share(split: str) -> float:
    try:
        share = float(split)
    except ValueError:
        share = 0.0
    if not 0 < share < 1:
        raise UserError(
            f"data.split={split!r} is no share of the tunes\nexpected a number between 0 and 1, such as 0.1"
        )
    return share


def _corpus() -> list[tuple[Path, int]]:
    """(file, label) of the corpus; music21 is not imported, which takes seconds."""
    music21 = importlib.util.find_spec("music21")
    if music21 is None:
        raise UserError(
            "data.source=melodies reads the corpus of music21, which is not installed: pip install -e '.[music]'\n"
            "instead: --config.data.path=FOLDER of MIDI files"
        )
    home = Path(music21.submodule_search_locations[0], "corpus")
    found = [(f, i) for i, name in enumerate(COLLECTIONS) for f in sorted((home / name).glob(COLLECTIONS[name]))]
    if not found:
        raise UserError(f"{home} has no {', '.join(COLLECTIONS)}: this music21 comes without its corpus")
    return found


def _midi_files(path: str) -> list[tuple[Path, int]]:
    folder = Path(path).expanduser()
    if not folder.is_dir():
        raise UserError(
            f"data.path must be a folder of MIDI files; {path!r} is {'a file' if folder.exists() else 'not there'}"
        )
    found = sorted(file for file in folder.rglob("*") if file.suffix.lower() in midi.SUFFIXES)
    if not found:
        raise UserError(f"{folder} holds no .mid files")
    return [(file, 0) for file in found]


def _tunes(files: list[tuple[Path, int]]) -> Iterator[tuple[list[Melody], int]]:
    """(melodies, label) of each tune that can be read, all voices of a MIDI file being one; says which files cannot."""
    for file, label in files:
        try:
            if file.suffix == ".abc":
                yield from ((tune, label) for tune in abc.read(file.read_text("utf-8", "replace")))
            elif file.suffix == ".mxl":
                yield musicxml.read(file), label
            else:
                score = midi.read(file)
                voices = [voice for voice in score.voices if voice.is_melodic]
                if not voices:
                    raise UserError(f"{file} has no voice of single notes")
                if score.damage:
                    print(f"read in part: {file}: {score.damage}", file=sys.stderr)
                yield [melody for voice in voices for melody in midi.melodies(score, voice)], label
        except UserError as error:
            print(f"left out: {error}", file=sys.stderr)


def _sides(tunes: Iterator, bars: int, share: float) -> list[tuple[np.ndarray, np.ndarray]]:
    """(x [N, T] uint8, label [N] int32) of the training and of the test side."""
    found, misfits = [], 0
    for tune, label in tunes:
        grids, misfit = zip(*(events.windows(melody, bars) for melody in tune)) if tune else ([], [])
        misfits += sum(misfit)
        if sum(map(len, grids)):
            digest = hashlib.sha256(b"".join(np.diff(melody.notes[:, 2]).tobytes() for melody in tune)).digest()
            found.append((digest, label, np.concatenate(grids)))
    print(f"{misfits} windows have a note off the grid of sixteenths: left out", file=sys.stderr)
    found.sort(key=lambda tune: tune[:2])
    is_test = [int.from_bytes(digest[:4]) < share * 2**32 for digest, _, _ in found]
    train, test = ([tune for tune, here in zip(found, is_test) if here is side] for side in (False, True))
    sides, seen = [], set()
    for side in (test, train):
        x = np.concatenate([np.zeros((0, events.STEPS * bars), np.uint8), *(grids for _, _, grids in side)])
        label = np.repeat(np.array([label for _, label, _ in side], np.int32), [len(grids) for _, _, grids in side])
        lowest = [row.tobytes() for row in events.transposed(x, np.full((len(x), 1), -events.CLASSES))]
        once = sorted({row.tobytes(): i for i, row in reversed(list(enumerate(x))) if lowest[i] not in seen}.values())
        seen.update(lowest)
        sides.append((x[once], label[once]))
    return sides[::-1]
