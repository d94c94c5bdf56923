"""MNIST and Fashion-MNIST: their four files, downloaded once into the cache and checked.

The addresses and checksums are those that TensorFlow Datasets has registered. Source `idx` reads the files.
"""

import hashlib
import os
import sys
import tempfile
import threading
import urllib.request
from pathlib import Path

from ae_jax.core import errors
from ae_jax.core.errors import UserError
from ae_jax.devices import processes

# Seconds that a server has to answer, and to send the next part of a file.
PATIENCE = 5.0
_PART = 1 << 16
# {set: (address of the folder, {file: SHA-256})}.
SETS = {
    "mnist": (
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
        {
            "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        },
    ),
    "fashion_mnist": (
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        {
            "train-images-idx3-ubyte.gz": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            "train-labels-idx1-ubyte.gz": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            "t10k-images-idx3-ubyte.gz": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            "t10k-labels-idx1-ubyte.gz": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        },
    ),
}


def folder(name: str, cache: str = "") -> Path:
    """Return the folder of a set's files, after downloading those that are not there.

    One of several processes downloads, and the others wait.

    Args:
      name: a key of `SETS`.
      cache: the folder of all caches; "" stands for ~/.cache/ae_jax, or ae_jax in $XDG_CACHE_HOME.

    Raises:
      UserError: a file cannot be downloaded, or is not the one that is registered.
    """
    from ae_jax.data import cached  # here, because configs name the sets, and are read without JAX

    home = cached.root(cache) / "downloads" / name
    processes.make_once(lambda: all((home / file).is_file() for file in SETS[name][1]), lambda: _download(name, home))
    return home


def _download(name: str, home: Path) -> None:
    """Download the files of a set that are not in the folder `home`."""
    address, checksums = SETS[name]
    missing = [file for file in checksums if not (home / file).is_file()]
    print(f"downloading {name} from {address} into {home}, once", file=sys.stderr)
    try:
        home.mkdir(parents=True, exist_ok=True)
        for file in missing:
            _fetch(address + file, home / file, checksums[file])
    except OSError as error:
        # urllib's errors are errors of the system, too.
        raise UserError(
            f"{name} is not on this machine, and {address} cannot be read: {errors.first_line(error)}\n"
            f"put {', '.join(missing)} into $AE_JAX_DATA_DIR/{name} or {home}, or use --config.data.name=digits"
        ) from None


def _fetch(address: str, target: Path, checksum: str) -> None:
    """Download a file, check its SHA-256, and put it in place under its name as a whole.

    Raises:
      UserError: the server sent another file.
      OSError: the server does not answer, or the file cannot be written.
    """
    content = _read(address)
    found = hashlib.sha256(content).hexdigest()
    if found != checksum:
        raise UserError(
            f"{address} sent another file: its SHA-256 is {found[:12]}..., and {checksum[:12]}... is registered\n"
            f"try again, or put the right file at {target}"
        )
    with tempfile.NamedTemporaryFile(dir=target.parent, delete=False) as stream:
        stream.write(content)
    os.chmod(stream.name, 0o644)  # temporary files are private, but several users may share the cache
    os.replace(stream.name, target)


def _read(address: str) -> bytes:
    """Return what the server sends. Raise OSError if it does not begin within twice `PATIENCE`."""
    answered, parts, failures = threading.Event(), [], []

    def read():
        try:
            with urllib.request.urlopen(address, timeout=PATIENCE) as answer:
                answered.set()
                while part := answer.read(_PART):
                    parts.append(part)
        except Exception as error:  # handed to the caller's thread
            failures.append(error)
        # A failure is an answer, too. Without it the caller would wait for the whole of its time.
        answered.set()

    # The look-up of a host's name obeys no timeout. A daemon thread does not keep the process alive.
    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    if not answered.wait(2 * PATIENCE - 1):
        raise TimeoutError("no answer")
    thread.join()
    if failures:
        raise OSError(errors.first_line(failures[0]))
    return b"".join(parts)
