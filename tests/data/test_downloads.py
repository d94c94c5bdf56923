"""MNIST's files come from a server, once, and are checked; a local server stands for the registered one."""

import gzip
import hashlib
import http.server
import os
import pathlib
import threading
import time

import numpy as np
import pytest

from ae_jax.core.errors import UserError
from ae_jax.data import downloads, sources
from ae_jax.data.sources import idx

STEMS = {
    "train-images-idx3": (5, 4, 4),
    "train-labels-idx1": (5,),
    "t10k-images-idx3": (3, 4, 4),
    "t10k-labels-idx1": (3,),
}


def packed(shape: tuple[int, ...]) -> bytes:
    """Return a gzipped IDX file, by the description of the format."""
    head = bytes([0, 0, 8, len(shape)]) + b"".join(size.to_bytes(4, "big") for size in shape)
    return gzip.compress(head + bytes(range(int(np.prod(shape)))), mtime=0)


FILES = {f"{stem}-ubyte.gz": packed(shape) for stem, shape in STEMS.items()}


@pytest.fixture
def server(tmp_path, monkeypatch):
    """Serve small files as MNIST; yield the list of the paths that were asked for."""
    asked = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=str(tmp_path / "served"))

        def do_GET(self):
            asked.append(self.path)
            super().do_GET()

        def log_message(self, *_):
            pass

    (tmp_path / "served").mkdir()
    for name, content in FILES.items():
        (tmp_path / "served" / name).write_bytes(content)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.delenv("AE_JAX_DATA_DIR", raising=False)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        checksums = {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()}
        for name in ("mnist", "fashion_mnist"):
            monkeypatch.setitem(downloads.SETS, name, (f"http://127.0.0.1:{running.server_port}/", checksums))
        yield asked
        running.shutdown()


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_a_set_is_downloaded_once(name, server, tmp_path):
    assert sources.named(name) == {"source": "idx"}
    for _ in range(2):
        spec, splits = idx.load(name=name, cache=str(tmp_path / "cache"))
    assert sorted(server) == sorted(f"/{file}" for file in FILES)
    assert spec.shape == (4, 4, 1) and splits["train"]["x"].ravel().tolist() == list(range(80))
    assert splits["test"]["label"].tolist() == [0, 1, 2]


def test_a_file_that_is_there_is_not_downloaded(server, tmp_path):
    home = tmp_path / "cache" / "downloads" / "mnist"
    home.mkdir(parents=True)
    name = "train-labels-idx1-ubyte.gz"
    (home / name).write_bytes(FILES[name])
    idx.load(name="mnist", cache=str(tmp_path / "cache"))
    assert f"/{name}" not in server and len(server) == 3


def test_another_file_is_refused_and_not_kept(server, tmp_path):
    (tmp_path / "served" / "t10k-images-idx3-ubyte.gz").write_bytes(packed((2, 4, 4)))
    with pytest.raises(UserError, match="t10k-images-idx3-ubyte.gz sent another file.*\n.*put the right file at"):
        idx.load(name="mnist", cache=str(tmp_path / "cache"))
    kept = os.listdir(tmp_path / "cache" / "downloads" / "mnist")
    assert "t10k-images-idx3-ubyte.gz" not in kept and set(kept) <= set(FILES)


def test_without_the_server_two_lines_say_which_files_to_put_where(server, tmp_path, monkeypatch):
    address = "http://127.0.0.1:9/"  # the port of the discard service, which is off
    monkeypatch.setitem(downloads.SETS, "mnist", (address, downloads.SETS["mnist"][1]))
    start = time.monotonic()
    with pytest.raises(UserError) as error:
        idx.load(name="mnist", cache=str(tmp_path / "cache"))
    lines = str(error.value).splitlines()
    assert time.monotonic() - start < 10 and len(lines) == 2
    assert address in lines[0]
    assert all(name in lines[1] for name in (*FILES, "$AE_JAX_DATA_DIR/mnist", "data.name=digits"))


def test_the_folder_of_the_user_comes_first(server, tmp_path, monkeypatch):
    monkeypatch.setenv("AE_JAX_DATA_DIR", str(tmp_path / "mine"))
    (tmp_path / "mine" / "mnist").mkdir(parents=True)
    assert sources.named("mnist") == {"source": "idx", "dir": str(tmp_path / "mine" / "mnist")}
    assert sources.named("fashion_mnist") == {"source": "idx"}
    assert sources.called({"name": "mnist", "source": "idx", "dir": ""}) == "mnist"


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_the_checksums_are_those_of_the_real_files(name):
    folder = pathlib.Path(os.environ.get("AE_JAX_DATA_DIR", "."), name)
    if not folder.is_dir():
        pytest.skip(f"no {name} in $AE_JAX_DATA_DIR")
    for file, checksum in downloads.SETS[name][1].items():
        assert hashlib.sha256((folder / file).read_bytes()).hexdigest() == checksum
