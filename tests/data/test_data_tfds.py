"""TFDS: a set that TFDS itself prepared is read without TensorFlow; what preparing lacks is said at once."""

import http.server
import inspect
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import types
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from ae_jax.core.errors import UserError
from ae_jax.core.types import DataSpec
from ae_jax.data.sources import tfds

ROOT = Path(__file__).parents[2]


# Python before 3.11.4 has no filters, and after 3.13 warns without one.
FILTER = {"filter": "data"} if "filter" in inspect.signature(shutil.unpack_archive).parameters else {}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory) -> Path:
    """A data directory that TFDS itself has written: 32 digits, see fixtures/make_tiny_digits.py."""
    folder = tmp_path_factory.mktemp("tfds")
    shutil.unpack_archive(Path(__file__).parent / "fixtures" / "tiny_digits.tar.gz", folder, **FILTER)
    return folder


def test_tfds_reads_what_tfds_prepared(prepared, tmp_path):
    expected = load_digits()
    for _ in range(2):  # decoded, then from the cache
        spec, splits = tfds.load("tiny_digits", str(prepared), cache=str(tmp_path))
        assert spec == DataSpec((8, 8, 1), "pixels", classes=10, levels=256)
        for split, part in (("train", slice(24)), ("test", slice(24, 32))):
            np.testing.assert_array_equal(splits[split]["x"], expected.images[part, ..., None] * 15)
            np.testing.assert_array_equal(splits[split]["label"], expected.target[part])
            assert (splits[split]["x"].dtype, splits[split]["label"].dtype) == (np.uint8, np.int32)
    _, halves = tfds.load("tiny_digits", str(prepared), split="train[:50%], test+train[50%:]", cache=str(tmp_path))
    assert [len(halves[s]["x"]) for s in ("train", "test")] == [12, 20]
    assert len(list((tmp_path / "tfds").iterdir())) == 2


class OwnValidation:
    """A builder of TFDS whose set has a validation split beside the two of `builder`."""

    def __init__(self, builder):
        self.__dict__ |= {"_builder": builder, "info": types.SimpleNamespace(**self._told(builder))}

    def _told(self, builder):
        told = {name: getattr(builder.info, name) for name in ("features", "full_name")}
        return {**told, "splits": [*builder.info.splits, "validation"]}

    def __getattr__(self, name):
        return getattr(self._builder, name)

    def as_data_source(self, split):
        return self._builder.as_data_source({"validation": "test[:3]"}.get(split, split))


def test_the_sets_own_validation_split_is_read_where_one_is_wanted(prepared, tmp_path, monkeypatch):
    load = lambda cache, **options: tfds.load("tiny_digits", str(prepared), cache=str(tmp_path / cache), **options)[1]
    assert set(load("without", validation=5)) == {"train", "test"}
    make = tfds._builder
    monkeypatch.setattr(tfds, "_builder", lambda *arguments: OwnValidation(make(*arguments)))
    assert set(load("own")) == {"train", "test"}
    for _ in range(2):  # decoded, then from the cache
        found = load("own", validation=5)
        assert set(found) == {"train", "test", "validation"}
        for key, values in found["validation"].items():
            np.testing.assert_array_equal(values, found["test"][key][:3])
    # What the user wrote may hold the set's validation split already.
    assert set(load("own", validation=5, split="train,test")) == {"train", "test"}


def test_images_are_shrunk_to_means_over_areas(prepared, tmp_path):
    spec, splits = tfds.load("tiny_digits", str(prepared), cache=str(tmp_path), size=4)
    assert spec.shape == (4, 4, 1)
    expected = 15 * load_digits().images[:24].reshape(-1, 4, 2, 4, 2).mean(axis=(2, 4))
    assert abs(splits["train"]["x"][..., 0] - expected).max() <= 1  # rounded along one axis, then along the other


def test_what_is_shrunk_is_the_centre_square():
    image = np.random.default_rng(0).integers(0, 256, (10, 6, 3), np.uint8)
    np.testing.assert_array_equal(tfds._shrunk(image, (6, 6, 3)), image[2:8])


def test_reading_imports_no_more_than_it_needs(prepared, tmp_path):
    code = (
        "import sys; from ae_jax.data.sources import tfds, digits; digits.load()\n"
        f"tfds.load('tiny_digits', {str(prepared)!r}, cache={str(tmp_path)!r})\n"
        "print(*(name in sys.modules for name in ('sklearn', 'tensorflow', 'tensorflow_datasets')))"
    )
    for reads_tfds in (True, False):  # decoded, then from the cache
        out = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        assert out.split() == ["False", "False", str(reads_tfds)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "data.name"),
        ({"name": "fashion_mnits"}, "did you mean 'fashion_mnist'"),
        ({"name": "emnist/leters"}, "did you mean 'emnist/letters'"),
        ({"name": "huggingface:mnist/mnist"}, "code TFDS would download"),
        ({"name": "imdb_reviews"}, "images of one size, found none"),
        ({"name": "caltech101"}, "images of one size, found uint8"),
        ({"name": "tiny_digits", "split": "train"}, "data.split names"),
        ({"name": "tiny_digits", "split": "train,validation"}, "Unknown split 'validation'.*'train', 'test'"),
        ({"name": "tiny_digits", "cache": __file__}, "data.cache"),
        ({"name": "mnist", "path": "nowhere"}, "data.path must be a folder.*'nowhere'"),
    ],
)
def test_tfds_refuses(options, message, prepared, tmp_path):
    with pytest.raises(UserError, match=message):
        tfds.load(dir=str(prepared), **{"cache": str(tmp_path)} | options)


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_tfds_tells_at_once_what_an_unreachable_network_leaves(tmp_path, monkeypatch):
    for proxy in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(proxy, f"http://127.0.0.1:{closed_port()}")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "t10k-labels-idx1-ubyte.gz").touch()
    start = time.monotonic()
    with pytest.raises(UserError) as error:
        tfds.load("mnist", str(tmp_path / "home"), path=str(tmp_path), cache=str(tmp_path / "cache"))
    assert time.monotonic() - start < 10
    message = str(error.value)
    assert f"train-labels-idx1-ubyte.gz in {tmp_path}" in message and "no answer from storage.googleapis.com" in message
    assert "t10k-labels" not in message  # is there already
    assert f"source=idx --config.data.dir={tmp_path}" in message and "source=digits" in message
    assert len(message.splitlines()) <= 2 and os.listdir(tmp_path) == ["t10k-labels-idx1-ubyte.gz"]


@pytest.mark.skipif(find_spec("tensorflow") is not None, reason="TensorFlow is installed")
def test_tfds_says_that_preparing_needs_tensorflow(tmp_path):
    for stem in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        (tmp_path / f"{stem}-ubyte.gz").touch()
    with pytest.raises(UserError, match=r"needs TensorFlow \(pip install -e '.\[tfds\]'\)\n.*source=idx"):
        tfds.load("mnist", str(tmp_path / "home"), path=str(tmp_path), cache=str(tmp_path / "cache"))


def test_reachable_is_what_answers_in_time(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(tfds, "PATIENCE", 1.0)
    refusing = f"http://127.0.0.1:{closed_port()}/"
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, and says nothing
        start = time.monotonic()
        assert not tfds.reachable([refusing, f"http://127.0.0.1:{silent.getsockname()[1]}/"])
        assert time.monotonic() - start < 5
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()  # answers: 501, unsupported method
        assert tfds.reachable([refusing, f"http://127.0.0.1:{server.server_port}/"])
