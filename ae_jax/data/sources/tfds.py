"""Any image set of TensorFlow Datasets, decoded once into arrays that later runs map.

Reading a prepared set and decoding it needs no TensorFlow; preparing one does, so that happens in a process of its own:
`python -m ae_jax.data.sources.tfds NAME DIR MANUAL_DIR`. Where the cache holds the decoded arrays, TFDS is not
imported.
"""

import contextlib
import importlib.util
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

from ae_jax.core.errors import UserError, nearest
from ae_jax.core.types import DataSpec
from ae_jax.data import cached

PATIENCE = 4.0  # seconds that a host has to answer; TFDS itself goes on trying for 205
BLOCK = 1024  # images decoded at a time
_CATALOG = "https://www.tensorflow.org/datasets/catalog"
_OF_A_COMMUNITY = re.compile(r"[\w-]+:[^\W\d]")  # "namespace:name"; after the name, a colon precedes a version


def load(
    name: str = "", dir: str = "", path: str = "", split: str = "", cache: str = "", size: int = 0, validation: int = 0
) -> tuple[DataSpec, dict]:
    """Read an image set of TFDS, and prepare it where need be.

    Args:
      name: the set, such as "mnist", "celeb_a" or "emnist/letters".
      dir: the data directory of TFDS; by default $TFDS_DATA_DIR, or ~/tensorflow_datasets.
      path: a folder of upstream files, which are taken in place of downloads; by default `dir`/downloads/manual.
      split: what to train and to test on, as TFDS writes splits; "train,test" by default. Then the set's own validation
        split is read too, if it has one and any `validation` is wanted.
      cache: the folder for decoded arrays; ~/.cache/ae_jax by default, or ae_jax in $XDG_CACHE_HOME.
      size: the pixels a side to which the centre square of each image is shrunk, by means over areas; by default images
        stay as they are.
      validation: how many examples are wanted for validation.

    Returns:
      The DataSpec, and {"train", "validation"?, "test"}: "x" [N, H, W, C] uint8, memory-mapped, and "label", the
      feature of that name.

    Raises:
      UserError: there is no such set or split, its images are of no one size, or TensorFlow is missing for preparing
        it, or the files and a network to fetch them.
    """
    if not name:
        raise UserError("data.source=tfds needs a data.name, for example --config.data.name=mnist")
    if _OF_A_COMMUNITY.match(name):
        raise UserError(
            f"data.name={name!r} is a community's set, whose code TFDS would download and run\n"
            f"expected a set of its own: {_CATALOG}"
        )
    names = [part.strip() for part in (split or "train,test").split(",")]
    if len(names) != 2:
        raise UserError(f"data.split names what to train and what to test on, as 'train,test'; got {split!r}")
    home = Path(dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets").expanduser().absolute()
    sides = dict(zip(("train", "test"), names))
    spec, splits = _kept(name, home, path, cache, size, sides)
    # A split that the user wrote may have taken in the set's own validation split.
    if validation and not split:
        splits |= _kept(name, home, path, cache, size, {"validation": "validation"}, optional=True)[1]
    return spec, splits


def _kept(
    name: str, home: Path, path: str, cache: str, size: int, sides: dict[str, str], optional: bool = False
) -> tuple[DataSpec, dict]:
    """Return splits of a set; decode them into a folder of their own if they are not there.

    Args:
      name: the set.
      home: the data directory of TFDS.
      path: the folder of upstream files; "" for the default.
      cache: the folder for decoded arrays; "" for the default.
      size: the pixels a side of the images; 0 leaves them as they are.
      sides: {name of ours: split as TFDS writes it}.
      optional: whether splits that the set does not have are left out.
    """
    folder = cached.folder(cache, "tfds", [name, str(home), *sides.values(), *[size] * bool(size)])

    def make():
        builder = _builder(name, home)
        if not _is_prepared(builder):
            manual = Path(path or home / "downloads" / "manual").expanduser().absolute()
            if path and not manual.is_dir():
                raise UserError(f"data.path must be a folder with the upstream files of {name!r}; got {path!r}")
            _prepare(builder, name, home, manual)
            builder = _builder(name, home)
        there = {ours: theirs for ours, theirs in sides.items() if not optional or theirs in builder.info.splits}
        _decode(builder, there, folder, size)

    return cached.kept(folder, make)


def reachable(urls: Iterable[str]) -> bool:
    """Return whether a host of `urls`, or its proxy, answers within PATIENCE seconds.

    An answer that is an error counts too.
    """
    import requests

    answers = []

    def ask(url):
        with contextlib.suppress(requests.RequestException):
            answers.append(requests.head(url, timeout=PATIENCE))

    # Looking up a host's name obeys no timeout: hence threads, which do not keep the process alive.
    threads = [threading.Thread(target=ask, args=[url], daemon=True) for url in urls]
    deadline = time.monotonic() + PATIENCE
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return bool(answers)


def _builder(name: str, home: Path):
    """TFDS's builder of a set of 8-bit images of one size."""
    import tensorflow_datasets as tfds

    try:
        builder = tfds.builder(name, data_dir=home)
    except (ValueError, AssertionError, ImportError):  # of a name, a config, a version, another library's catalogue
        known = tfds.list_builders(with_community_datasets=False)
        if (base := name.partition("/")[0]) in known:
            known = [f"{base}/{config}" for config in tfds.builder_cls(base).builder_configs]
        raise UserError(f"unknown TFDS dataset {name!r}{nearest(name, known)}\nwhat exists: {_CATALOG}") from None
    features = builder.info.features
    image = features[_image(builder)] if _image(builder) else None
    if image is None or None in image.shape or image.np_dtype != np.uint8:
        found = f"{np.dtype(image.np_dtype)} of shape {image.shape}" if image else "none"
        raise UserError(f"TFDS dataset {name!r}: expected 8-bit images of one size, found {found}")
    return builder


def _image(builder) -> str:
    """Return the name of the first image among the features, or the empty string."""
    import tensorflow_datasets as tfds

    return next((key for key, feature in builder.info.features.items() if isinstance(feature, tfds.features.Image)), "")


def _is_prepared(builder) -> bool:
    return builder.data_path.exists() and builder.is_prepared()  # the second alone would warn of what is not there


def _line(error: object) -> str:
    return next(iter(str(error).splitlines()), "").rstrip(":")


def _prepare(builder, name: str, home: Path, manual: Path) -> None:
    """Write the set `name` below `home`, once everything that this takes is known to be there."""
    urls = {info.filename or url: url for url, info in (builder.url_infos or {}).items()}
    absent = {file: url for file, url in urls.items() if not (manual / file).exists()}
    hosts = {urlsplit(url).netloc: url for url in absent.values()}
    needs = []
    if hosts and not reachable(hosts.values()):
        silent = f"no answer from {', '.join(hosts)}"
        needs.append(f"{', '.join(absent)} in {manual} or in --config.data.path ({silent})")
    if importlib.util.find_spec("tensorflow") is None:
        needs.append("TensorFlow (pip install -e '.[tfds]')")
    if needs:
        offline = "--config.data.source=digits needs no files"
        if folder := os.environ.get("AE_JAX_DATA_DIR"):
            offline = f"a folder {name} in $AE_JAX_DATA_DIR, {folder}; {offline}"
        if "train-images-idx3-ubyte.gz" in urls:
            offline = f"--config.data.source=idx --config.data.dir={manual} reads the same files; {offline}"
        raise UserError(f"preparing TFDS dataset {name!r} needs {', and '.join(needs)}\ninstead: {offline}")
    print(f"preparing TFDS dataset {name!r} in {home}, once", file=sys.stderr)
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(sys.path),
        "CUDA_VISIBLE_DEVICES": "",  # TensorFlow would take the whole accelerator
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    command = [sys.executable, "-P", "-m", "ae_jax.data.sources.tfds", name, str(home), str(manual)]
    bars = None if sys.stderr.isatty() else subprocess.DEVNULL
    done = subprocess.run(command, check=False, env=environment, stdout=subprocess.PIPE, stderr=bars, text=True)
    if done.returncode:
        reason = done.stdout.splitlines()[-1] if done.returncode == 1 and done.stdout else f"status {done.returncode}"
        raise UserError(f"preparing TFDS dataset {name!r} failed: {reason}")


def _decode(builder, sides: dict[str, str], folder: Path, size: int) -> None:
    """Write spec.json and SPLIT/{x,label}.npy into `folder`, which appears whole or not at all."""
    try:
        sources = {ours: builder.as_data_source(theirs) for ours, theirs in sides.items()}
    except NotImplementedError:
        form = builder.info.file_format.value
        another = "another --config.data.dir=FOLDER prepares the set there, as array_record"
        raise UserError(f"{builder.data_path} is in {form} format, without random access\n{another}") from None
    except ValueError as error:
        raise UserError(f"data.split={','.join(sides.values())!r}: {_line(error)}") from None
    print(f"decoding TFDS dataset {builder.info.full_name!r} into {folder}, once", file=sys.stderr)
    image = _image(builder)
    height, width, channels = builder.info.features[image].shape
    shape = (size or height, size or width, channels)
    classes = getattr(dict(builder.info.features.items()).get("label"), "num_classes", None) or 0
    with cached.written_whole(folder) as whole:
        highest = [_write(whole / ours, source, image, shape, classes) for ours, source in sources.items()]
        # Sets of black and white images (dsprites, binarized_mnist) store 0 and 1.
        cached.write_spec(whole, DataSpec(shape, classes=classes, levels=256 if max(highest, default=0) > 1 else 2))


def _write(folder: Path, source, image: str, shape: tuple[int, ...], classes: int) -> int:
    """Write x.npy, and label.npy where there are classes, block by block.

    Return the highest value of a pixel.
    """
    folder.mkdir(parents=True)
    labels, highest = [], 0
    with (folder / "x.npy").open("wb") as stream:
        header = {"descr": "|u1", "fortran_order": False, "shape": (len(source), *shape)}
        np.lib.format.write_array_header_1_0(stream, header)
        for start in range(0, len(source), BLOCK):
            examples = source.__getitems__(range(start, min(start + BLOCK, len(source))))
            x = np.stack([_shrunk(example[image], shape) for example in examples])
            stream.write(x.tobytes())
            highest = max(highest, int(x.max()))
            labels += [example["label"] for example in examples if classes]
    if classes:
        np.save(folder / "label.npy", np.array(labels, np.int32))
    return highest


def _shrunk(image: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Shrink the centre square of an image [H, W, C] to a shape, by means over areas."""
    if image.shape == shape:
        return image
    from PIL import Image

    height, width, channels = image.shape
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    picture = Image.fromarray(image[..., 0] if channels == 1 else image)
    square = (left, top, left + side, top + side)
    return np.asarray(picture.resize((shape[1], shape[0]), Image.Resampling.BOX, box=square)).reshape(shape)


def main(name: str, home: str, manual: str) -> None:
    """Prepare a set, in the process that has TensorFlow.

    The last line on standard output is the error, if any.
    """
    import tensorflow_datasets as tfds

    sys.excepthook = lambda kind, error, trace: print(f"{kind.__name__}: {_line(error)}")
    config = tfds.download.DownloadConfig(manual_dir=manual)
    tfds.builder(name, data_dir=home).download_and_prepare(download_config=config, file_format="array_record")


if __name__ == "__main__":
    main(*sys.argv[1:])
