"""Melodies as grids of events, from the `music21` wheel or a folder of MIDI files.

The wheel has a corpus of folk tunes and chorales. Of the corpus, 8,514 folk songs of the Essen collection may not be
used commercially: its arrays stay in the cache.
"""

import importlib.util
import re
import sys
from pathlib import Path

import numpy as np

from ae_jax.core.errors import UserError
from ae_jax.core.types import FORMAT, DataSpec
from ae_jax.data import cached
from ae_jax.data.music import abc, beats, events, families, midi, midi_messages, musicxml, tunes
from ae_jax.data.music.tunes import Tune

# {folder of the corpus: (name of the collection, its files)}, in the order of the labels
COLLECTIONS = {
    "essenFolksong": ("Essen folk songs", "*.abc"),
    "oneills1850": ("O'Neill's Irish tunes", "*.abc"),
    "ryansMammoth": ("Ryan's fiddle tunes", "*.abc"),
    "airdsAirs": ("Aird's airs", "*.abc"),
    "bach": ("Bach chorales", "*.mxl"),
}
# The modules on which the cached arrays depend.
_READERS = (abc, beats, events, families, midi, midi_messages, musicxml, tunes, sys.modules[__name__])


def load(
    name: str = "",
    path: str = "",
    split: str = "",
    cache: str = "",
    bar: int = events.STEPS,
    beats: str = "",
    validation: int = 0,
    format_number: int = FORMAT,
) -> tuple[DataSpec, dict]:
    """Return windows of melodies: x [N, bars * bar], event classes.

    x is uint8, as `music.events` has it, in an order that depends on the notes alone. The corpus has labels, the places
    in COLLECTIONS.

    Args:
      name: the length of a window, such as "melodies_2bar" (the default) or "melodies_16bar".
      path: a folder of MIDI files, which is read with its subfolders instead of the corpus.
      split: the share of the tunes to test on (default 0.1). The windows decide which tunes these are.
      cache: the folder for the arrays (default ~/.cache/ae_jax, or ae_jax in $XDG_CACHE_HOME).
      bar: the length of a bar in sixteenths: 16 for 4/4, 2/4 and 2/2, 12 for 3/4 and 6/8, 18 for 9/8. Tunes in other
        metres are left out and counted.
      beats: the name of a text file beside each MIDI file that has the times of its beats, such as "beat_midi.txt".
      validation: about how many windows to hold out.
      format_number: see `ae_jax.core.types.FORMAT`. Until 2 single tunes are split, and from 3 on families of tunes.

    Raises:
      UserError: music21 is not installed, a folder has no melodies, or one split is empty.
    """
    bars = re.fullmatch(r"melodies_([1-9]\d*)bar", name or "melodies_2bar")
    if not bars:
        raise UserError(f"data.name={name!r} names no windows of melodies\nexpected melodies_2bar, melodies_16bar, ...")
    if bar < 1:
        raise UserError(f"data.bar={bar} is no length of a bar in sixteenths\nuse 16 for 4/4, 12 for 3/4, 18 for 9/8")
    if beats and not path:
        raise UserError(f"data.beats={beats!r} is for MIDI files\nset data.path to their folder, or leave it out")
    share = _share(split or "0.1")
    files = _midi_files(path) if path else _corpus()
    sides = sorted({file.parent / beats for file, _ in files if (file.parent / beats).is_file()}) if beats else []
    # The text of the readers belongs to the key: arrays that other code has cut must not be taken for its own.
    readers = [Path(str(reader.__file__)).read_text() for reader in _READERS]
    stamps = cached.stamps([*(file for file, _ in files), *sides])
    folder = cached.folder(cache, "melodies", [bars[0], share, stamps, readers, validation, bar, beats, format_number])

    def make():
        print(f"reading {len(files)} files of melodies into {folder}, once", file=sys.stderr)
        found, counts = tunes.read(files, int(bars[1]), bar, beats, format_number)
        for line in counts.lines(int(bars[1]), bar):
            print(line, file=sys.stderr)
        splits = _splits(found, share, validation, format_number)
        _check_none_empty(splits, path)
        if format_number > 2:
            splits = _without_near(splits)
            _check_none_empty(splits, path)
        names = () if path else tuple(collection for collection, _ in COLLECTIONS.values())
        if path:
            splits = {side: {"x": arrays["x"]} for side, arrays in splits.items()}
        shape = splits["train"]["x"].shape[1:]
        spec = DataSpec(shape, "events", len(names), events.CLASSES, names, bar=bar)
        cached.write(folder, spec, splits)

    return cached.kept(folder, make)


def _share(split: str) -> float:
    """Return data.split as a number, or raise UserError."""
    try:
        share = float(split)
    except ValueError:
        share = 0.0
    if not 0 < share < 1:
        raise UserError(
            f"data.split={split!r} is no share of the tunes\nexpected a number between 0 and 1, such as 0.1"
        )
    return share


def _check_none_empty(splits: dict[str, dict[str, np.ndarray]], path: str) -> None:
    """Raise UserError where a split has no windows."""
    if all(len(arrays["x"]) for arrays in splits.values()):
        return
    counts = ", ".join(f"{len(arrays['x'])} in {side}" for side, arrays in splits.items())
    less = ", or a smaller data.validation" if "validation" in splits else ""
    raise UserError(
        f"{path or 'the corpus'} has windows: {counts}\nexpected some in each: try another data.split, more tunes{less}"
    )


def _corpus() -> list[tuple[Path, int]]:
    """Return (file, label) of the corpus. music21 is not imported, because that takes seconds."""
    music21 = importlib.util.find_spec("music21")
    if music21 is None or not music21.submodule_search_locations:
        raise UserError(
            "data.source=melodies reads the corpus of music21, which is not installed: pip install -e '.[music]'\n"
            "instead: --config.data.path=FOLDER of MIDI files"
        )
    home = Path(music21.submodule_search_locations[0], "corpus")
    found = []
    for label, (folder, (_, pattern)) in enumerate(COLLECTIONS.items()):
        found += [(file, label) for file in sorted((home / folder).glob(pattern))]
    if not found:
        raise UserError(f"{home} has no {', '.join(COLLECTIONS)}: this music21 comes without its corpus")
    return found


def _midi_files(path: str) -> list[tuple[Path, int]]:
    """Return (file, 0) of the MIDI files in a folder and its subfolders."""
    folder = Path(path).expanduser()
    if not folder.is_dir():
        raise UserError(
            f"data.path must be a folder of MIDI files; {path!r} is {'a file' if folder.exists() else 'not there'}"
        )
    found = sorted(file for file in folder.rglob("*") if file.suffix.lower() in midi.SUFFIXES)
    if not found:
        raise UserError(f"{folder} holds no .mid files")
    return [(file, 0) for file in found]


def _splits(found: list[Tune], share: float, validation: int, format: int) -> dict[str, dict[str, np.ndarray]]:
    """Share tunes out into splits; a window stands in one split, and once.

    Returns:
      {split: {"x": [N, T] uint8, "label": [N] int32}}.
    """
    if not found:
        return {"train": _windows([]), "test": _windows([])}
    if format < 3:
        return _splits_of_tunes(found, share, validation)
    return {name: _windows(chosen) for name, chosen in families.split(found, share, validation).items()}


def _without_near(splits: dict[str, dict[str, np.ndarray]]) -> dict[str, dict[str, np.ndarray]]:
    """Leave out training windows that are near a held-out one, and report how many."""
    held = np.concatenate([arrays["x"] for name, arrays in splits.items() if name != "train"])
    train = splits["train"]
    is_near = families.near(train["x"], held)
    print(
        f"{is_near.sum()} of {len(is_near)} training windows differ from a held-out one in at most {families.NEAR} "
        "events, in some key: left out",
        file=sys.stderr,
    )
    return {**splits, "train": {key: values[~is_near] for key, values in train.items()}}


def _windows(chosen: list[Tune]) -> dict[str, np.ndarray]:
    """Return the different windows of tunes, and the label of the first tune that has each."""
    if not chosen:
        return {"x": np.zeros((0, 1), np.uint8), "label": np.zeros(0, np.int32)}
    x = np.concatenate([tune.grids for tune in chosen])
    label = np.repeat(np.array([tune.label for tune in chosen], np.int32), [len(tune.grids) for tune in chosen])
    _, first = np.unique(x, axis=0, return_index=True)
    # `np.unique` orders windows by their content, and the order of the tunes is to be kept.
    first.sort()
    return {"x": x[first], "label": label[first]}


def _splits_of_tunes(found: list[Tune], share: float, validation: int) -> dict[str, dict[str, np.ndarray]]:
    """Share tunes out as until format 2: single tunes, by a hash of their intervals.

    Tunes with the same intervals stand in one split, and no training window is a transposed one of another split. But
    variants of a tune may stand on both sides.
    """
    found = sorted(found, key=lambda tune: (tune.digest, tune.label))
    is_test = [int.from_bytes(tune.digest[:4]) < share * 2**32 for tune in found]
    parts = {"test": [tune for tune, test in zip(found, is_test) if test]}
    rest = [tune for tune, test in zip(found, is_test) if not test]
    if validation:
        held = _count_held(rest, validation)
        parts["validation"], rest = rest[:held], rest[held:]
    parts["train"] = rest
    splits, seen = {}, set()
    for name, chosen in parts.items():
        arrays = _windows(chosen)
        moved = [row.tobytes() for row in families.lowest(arrays["x"])]
        is_new = np.array([row not in seen for row in moved], bool)
        seen.update(moved)
        splits[name] = {key: values[is_new] for key, values in arrays.items()}
    return dict(reversed(splits.items()))


def _count_held(chosen: list[Tune], validation: int) -> int:
    """Count how many of the first tunes have `validation` windows together.

    Tunes of the same notes stay together.
    """
    windows: set[bytes] = set()
    for number, tune in enumerate(chosen):
        if len(windows) >= validation and tune.digest != chosen[number - 1].digest:
            return number
        windows.update(row.tobytes() for row in tune.grids)
    return len(chosen)
