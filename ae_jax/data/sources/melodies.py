"""Melodies as grids of events: the folk tunes and chorales inside the `music21` wheel, or a folder of MIDI files.

Of the corpus, 8,514 folk songs of the Essen collection may not be used commercially: its arrays stay in the cache.
Windows overlap and tunes come in variants, so the splits are kept apart thrice: tunes with the same notes stand in one
split, a window stands there once, and no training window is a transposed one of another split.
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


def load(
    name: str = "", path: str = "", split: str = "", cache: str = "", validation: int = 0
) -> tuple[DataSpec, dict]:
    """The windows of `name`, such as "melodies_2bar" (the default) or "melodies_16bar": x [N, 16 bars], event classes.

    path   folder of MIDI files, subfolders included, read instead of the corpus
    split  share of the tunes to test on (default 0.1); which, their notes decide
    cache  folder for the arrays (default ~/.cache/ae_jax, or below $XDG_CACHE_HOME)
    validation  about how many windows to hold out: whole tunes, by their notes as those of the test split

    x is uint8, as `music.events` has it, in an order that depends on the notes alone; the corpus has labels, the places
    in COLLECTIONS. Raises UserError where music21 is not installed, a folder has no melodies, or one split is empty.
    """
    bars = re.fullmatch(r"melodies_([1-9]\d*)bar", name or "melodies_2bar")
    if not bars:
        raise UserError(f"data.name={name!r} names no windows of melodies\nexpected melodies_2bar, melodies_16bar, ...")
    share = _share(split or "0.1")
    files = _midi_files(path) if path else _corpus()
    readers = [Path(reader.__file__).read_text() for reader in _READERS]
    stamps = cached.stamps(file for file, _ in files)
    folder = cached.folder(cache, "melodies", [bars[0], share, stamps, readers, *[validation] * bool(validation)])

    def make():
        print(f"reading {len(files)} files of melodies into {folder}, once", file=sys.stderr)
        splits = _splits(_tunes(files), int(bars[1]), share, validation)
        if not all(len(arrays["x"]) for arrays in splits.values()):
            counts = ", ".join(f"{len(arrays['x'])} in {side}" for side, arrays in splits.items())
            less = ", or a smaller data.validation" if validation else ""
            raise UserError(f"{path or 'the corpus'} has windows: {counts}\nexpected some in each{less}")
        names = () if path else tuple(COLLECTIONS)
        if path:
            splits = {side: {"x": arrays["x"]} for side, arrays in splits.items()}
        shape = splits["train"]["x"].shape[1:]
        cached.write(folder, DataSpec(shape, "events", len(names), events.CLASSES, names), splits)

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


def _splits(tunes: Iterator, bars: int, share: float, validation: int) -> dict[str, dict[str, np.ndarray]]:
    """Cut tunes into windows, and share them out: {split: {"x": [N, T] uint8, "label": [N] int32}}."""
    found, misfits = [], 0
    for tune, label in tunes:
        grids, misfit = zip(*(events.windows(melody, bars) for melody in tune)) if tune else ([], [])
        misfits += sum(misfit)
        if sum(map(len, grids)):
            digest = hashlib.sha256(b"".join(np.diff(melody.notes[:, 2]).tobytes() for melody in tune)).digest()
            found.append((digest, label, np.concatenate(grids)))
    print(f"{misfits} windows have a note off the grid of sixteenths: left out", file=sys.stderr)
    found.sort(key=lambda tune: tune[:2])
    is_test = lambda tune: int.from_bytes(tune[0][:4]) < share * 2**32
    parts = {"test": [tune for tune in found if is_test(tune)]}
    parts["train"] = [tune for tune in found if not is_test(tune)]
    if validation:
        held = _count_held(parts["train"], validation)
        parts = {"test": parts["test"], "validation": parts["train"][:held], "train": parts["train"][held:]}
    splits, seen = {}, set()
    for name, side in parts.items():
        x = np.concatenate([np.zeros((0, events.STEPS * bars), np.uint8), *(grids for _, _, grids in side)])
        label = np.repeat(np.array([label for _, label, _ in side], np.int32), [len(grids) for _, _, grids in side])
        lowest = [row.tobytes() for row in events.transposed(x, np.full((len(x), 1), -events.CLASSES))]
        once = sorted({row.tobytes(): i for i, row in reversed(list(enumerate(x))) if lowest[i] not in seen}.values())
        seen.update(lowest)
        splits[name] = {"x": x[once], "label": label[once]}
    return dict(reversed(splits.items()))


def _count_held(tunes: list[tuple[bytes, int, np.ndarray]], validation: int) -> int:
    """Count how many of the first tunes have `validation` windows together; the same notes stay together."""
    windows = set()
    for number, (digest, _, grids) in enumerate(tunes):
        if len(windows) >= validation and digest != tunes[number - 1][0]:
            return number
        windows.update(row.tobytes() for row in grids)
    return len(tunes)
