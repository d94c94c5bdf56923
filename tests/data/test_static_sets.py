"""The sets that a source of their own reads: Larochelle's static MNIST, and Frey faces."""

import hashlib
import os
import pathlib

import numpy as np
import pytest

from ae_jax.core.errors import UserError
from ae_jax.data import sources
from ae_jax.data.sources import freyfaces, mnist_static, tfds
from ae_jax.experiments import configuration

# The SHA-256 that TensorFlow Datasets registers for the test split, as text: bits parted by blanks, a line an image.
REGISTERED = "e6687bfea3f820c174f33b7865140b2a2dd2930ef786f35d45795fc193b5ab2c"


def place(name):
    folder = pathlib.Path(os.environ.get("AE_JAX_DATA_DIR", "."), name)
    if not folder.is_dir():
        pytest.skip(f"no {name} in $AE_JAX_DATA_DIR")
    return folder


def test_static_mnist_is_larochelles(monkeypatch):
    place("mnist_static")
    spec, splits = mnist_static.load(validation=1)
    assert {name: len(part["x"]) for name, part in splits.items()} == {
        "train": 50_000,
        "validation": 10_000,
        "test": 10_000,
    }
    text = np.full((10_000, 784, 2), ord(" "), np.uint8)
    text[:, -1, 1] = ord("\n")
    text[..., 0] = splits["test"]["x"].reshape(10_000, 784) + ord("0")
    assert hashlib.sha256(text.tobytes()).hexdigest() == REGISTERED and spec.levels == 2


def packed(folder, **changes):
    bits = np.random.default_rng(0).integers(0, 2, (3, 784), np.uint8)
    names = {"train": bits, "valid": bits[:2], "test": bits[:1]} | changes
    np.savez(folder / mnist_static.FILE, **{name: np.packbits(values, axis=1) for name, values in names.items()})
    return bits


def test_packed_bits_are_unpacked_and_validation_is_served_only_if_wanted(tmp_path):
    bits = packed(tmp_path)
    splits = mnist_static.load(str(tmp_path))[1]
    assert splits.keys() == {"train", "test"}
    np.testing.assert_array_equal(splits["train"]["x"].reshape(3, 784), bits)
    assert len(mnist_static.load(str(tmp_path), validation=5)[1]["validation"]["x"]) == 2


def test_without_the_folder_static_mnist_is_that_of_tensorflow_datasets(tmp_path, monkeypatch):
    monkeypatch.setenv("AE_JAX_DATA_DIR", str(tmp_path))
    monkeypatch.setattr(tfds, "load", lambda name, **options: (name, options))
    assert mnist_static.load(cache="c", validation=7) == ("binarized_mnist", {"cache": "c", "validation": 7})


@pytest.mark.parametrize("source", [mnist_static, freyfaces])
def test_a_file_that_is_not_there_is_named(source, tmp_path):
    with pytest.raises(UserError, match=f"{source.FILE}.*\n.*--config.data.dir"):
        source.load(str(tmp_path))


def test_frey_faces_are_split_by_the_stated_permutation(tmp_path):
    images = np.arange(1965, dtype=np.uint16)[:, None, None] * np.ones((1, 28, 20), np.uint16)
    np.savez(tmp_path / freyfaces.FILE, images=images)
    splits = freyfaces.load(str(tmp_path), validation=200)[1]
    order = np.random.RandomState(0).permutation(1965)
    found = np.concatenate([splits[name]["x"][:, 0, 0, 0] for name in ("train", "validation", "test")])
    np.testing.assert_array_equal(found, order)
    assert [len(splits[name]["x"]) for name in ("train", "validation", "test")] == [1565, 200, 200]
    assert freyfaces.load(str(tmp_path))[1].keys() == {"train", "test"}


@pytest.mark.parametrize("name", ["mnist_static", "freyfaces"])
def test_the_name_of_the_set_is_the_name_of_its_source(name):
    config = configuration.load("configs/vae.py:digits")
    configuration.override(config, "data.name", name)
    assert config.data.source == name and sources.called(config.data) == name
