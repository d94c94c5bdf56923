"""Memory-mapped files: nothing copies the whole of one, one pass checks it, and a large one is streamed."""

import json
import os
import tracemalloc

import numpy as np
import pytest

from ae_jax.core.errors import UserError
from ae_jax.core.types import DataSpec
from ae_jax.data import batching, mapped, splits, streaming
from ae_jax.data.sources import files
from ae_jax.experiments import configuration, experiment

X = np.random.RandomState(0).uniform(size=(16_000, 40))
KINDS = {
    "float64": X,
    "float32": X.astype(np.float32),
    "float16": X.astype(np.float16),
    "uint8": np.rint(255 * X).astype(np.uint8),
    "images": np.rint(255 * X).astype(np.uint8).reshape(-1, 5, 8),
}


@pytest.fixture
def small(monkeypatch):
    """Let files of some megabytes be large, and read them in pieces of 64 kB."""
    monkeypatch.setattr(streaming, "LARGE_FILE", 2**19)
    monkeypatch.setattr(mapped, "PIECE", 2**16)


def stored(folder, values):
    """The path of an .npy of these values."""
    np.save(folder / "x.npy", values)
    return folder / "x.npy"


def config_on(file, **data):
    config = configuration.load("configs/vae.py:smoke")
    config.data.update({"source": "files", "path": str(file), "cache": str(file.parent / "cache"), **data})
    config.data.update({"validation": 500})
    return config


def expected(values):
    """The splits of an .npy: a tenth is the test split, 500 of the others are for validation, all in stored order."""
    values = values.astype(np.float32) if np.issubdtype(values.dtype, np.floating) else values
    values = values[..., None] if values.ndim == 3 else values
    test = np.isin(np.arange(len(values)), np.random.RandomState(0).permutation(len(values))[: len(values) // 10])
    rest = values[~test]
    held = np.isin(np.arange(len(rest)), np.random.RandomState(1).permutation(len(rest))[:500])
    return {"train": rest[~held], "validation": rest[held], "test": values[test]}


@pytest.mark.parametrize("kind", KINDS)
def test_splits_are_rows_of_the_file_and_no_step_copies_it(kind, small, tmp_path):
    config = config_on(stored(tmp_path, KINDS[kind]))
    tracemalloc.start()
    spec, found = splits.load(config.data, 0)
    for name, arrays in found.items():
        batching.check_support(arrays["x"], spec, (0, 1), name)
        assert streaming.wanted(None, arrays)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < KINDS[kind].nbytes * 0.6  # the numbers of the rows are a part of it
    for name, values in expected(KINDS[kind]).items():
        assert isinstance(found[name]["x"], mapped.Rows) and found[name]["x"].dtype == values.dtype
        np.testing.assert_array_equal(found[name]["x"], values)


def test_an_experiment_streams_every_split_of_a_large_file_unless_told_otherwise(small, tmp_path):
    file = stored(tmp_path, X)
    for stream, kind in ((None, streaming.Streamed), (False, batching.Batches)):
        built = experiment.build(config_on(file, stream=stream))
        built.check()
        assert {type(built.batches(name)) for name in ("train", "validation", "test")} == {kind}
    held = built.held_out(built.splits["validation"], 100)
    seen = np.concatenate([np.asarray(batch["x"]) for batch in held])
    np.testing.assert_array_equal(seen, expected(X)["validation"])


def test_a_subset_of_rows_is_all_that_is_read(small, tmp_path):
    _, found = files.load(str(stored(tmp_path, X)), whole=True)
    few, numbers = streaming.Streamed(found["all"], DataSpec((40,), "reals"), 8).spread(3)
    assert isinstance(few.arrays["x"], np.ndarray)
    np.testing.assert_array_equal(few.arrays["x"], X.astype(np.float32)[numbers])


def test_a_pass_over_a_file_is_remembered_until_the_file_changes(small, tmp_path, monkeypatch):
    file, passes, survey = stored(tmp_path, X), [], mapped.survey
    monkeypatch.setattr(mapped, "survey", lambda array: passes.append(len(array)) or survey(array))
    for _ in range(2):
        spec, found = splits.load(config_on(file).data, 0)
        assert batching.outside(found["train"]["x"], spec, (0, 1)) == "" and passes == [len(X)]
    stored(tmp_path, X[:15_000])
    splits.load(config_on(file).data, 0)
    assert passes == [len(X), 15_000]
    stamp = file.stat()
    stored(tmp_path, 2 * X[:15_000])
    os.utime(file, ns=(stamp.st_atime_ns, stamp.st_mtime_ns + 1))
    assert splits.load(config_on(file).data, 0)[1]["train"]["x"].survey.greatest == np.float32(2 * X[:15_000].max())


@pytest.mark.parametrize("damage", ["unwritable", "damaged"])
def test_a_cache_that_is_no_help_is_no_hindrance(damage, small, tmp_path):
    file, cache = stored(tmp_path, X), tmp_path / "cache"
    if damage == "unwritable":
        cache.write_text("a file where the folder would be")
    else:
        files.load(str(file), cache=str(cache))
        (found,) = cache.rglob("*.json")
        assert json.loads(found.read_text())["bad"] == 0
        found.write_text("{")
    spec, found = files.load(str(file), cache=str(cache))
    assert spec == DataSpec((40,), "reals") and found["train"]["x"].survey.least == np.float32(X.min())


def test_rows_that_are_not_finite_are_counted_over_all_pieces(small, tmp_path):
    bad = X.copy()
    bad[[9_000, 9_001, 15_999], 3] = np.nan, np.inf, 1e300  # the last is infinite as a float32
    with pytest.raises(UserError, match="3 of 16000 examples in x hold NaN or infinity, first number 9000"):
        files.load(str(stored(tmp_path, bad)), cache=str(tmp_path))


def test_a_split_is_refused_for_its_own_values(small, tmp_path):
    far = X.copy()
    far[np.random.RandomState(0).permutation(len(X))[0]] = 7  # a row of the test split
    spec, found = splits.load(config_on(stored(tmp_path, far)).data, 0)
    assert batching.outside(found["train"]["x"], spec, (0, 1)) == ""
    assert batching.outside(found["test"]["x"], spec, (0, 1)).endswith("to 7")


def test_joined_rows_stay_in_their_files(tmp_path):
    parts = [X[:300], X[300:310], X[310:700]]
    for number, part in enumerate(parts):
        np.save(tmp_path / f"{number}.npy", part)
    arrays = [np.load(tmp_path / f"{number}.npy", mmap_mode="r") for number in range(3)]
    joined = mapped.concatenated([arrays[0], mapped.rows(arrays[1], np.arange(10)), arrays[2]])
    assert isinstance(joined, mapped.Rows) and joined.file_bytes == parts[2].nbytes
    np.testing.assert_array_equal(joined, X[:700].astype(np.float32))
    order = np.random.RandomState(2).permutation(700)
    np.testing.assert_array_equal(joined.only(order)[100:200], X[order[100:200]].astype(np.float32))
    np.testing.assert_array_equal(joined[305], X[305].astype(np.float32))


def test_training_on_test_examples_too_copies_nothing(small, tmp_path):
    _, found = splits.load(config_on(stored(tmp_path, X), train_on_test=True).data, 0)
    assert isinstance(found["train"]["x"], mapped.Rows) and found["train"]["x"].survey
    np.testing.assert_array_equal(
        found["train"]["x"], np.concatenate([expected(X)[name] for name in ("train", "test")])
    )
