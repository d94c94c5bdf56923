"""Sources: what they read is what was written, and damage is named."""

import gzip
import os
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image
from sklearn.datasets import load_digits

from ae_jax.core.errors import UserError
from ae_jax.core.types import DataSpec
from ae_jax.data import cached
from ae_jax.data.formats import Reading, folders, images
from ae_jax.data.sources import digits, files, idx

RNG = np.random.default_rng(0)


def test_digits_are_scikit_learns():
    spec, splits = digits.load()
    expected = load_digits()
    assert spec == DataSpec((8, 8, 1), "pixels", classes=10, levels=17)
    assert [splits[s]["x"].dtype for s in splits] == [np.uint8] * 2
    assert [splits[s]["label"].dtype for s in splits] == [np.int32] * 2
    assert len(splits["test"]["x"]) == 297
    for key, whole in (("x", expected.images[..., None]), ("label", expected.target)):
        np.testing.assert_array_equal(np.concatenate([splits["train"][key], splits["test"][key]]), whole)


# --- idx --------------------------------------------------------------------------------------------------------------


def idx_bytes(array: np.ndarray) -> bytes:
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


def write_idx(folder: Path, arrays: dict[str, np.ndarray], zipped: bool = False) -> None:
    folder.mkdir(exist_ok=True)
    for name, array in arrays.items():
        file = folder / f"{name}-{'images' if array.ndim == 3 else 'labels'}-idx{array.ndim}-ubyte"
        data = idx_bytes(array)
        file.with_name(file.name + ".gz" * zipped).write_bytes(gzip.compress(data) if zipped else data)


@given(data=st.data(), size=st.tuples(*[st.integers(1, 5)] * 2), zipped=st.booleans(), labelled=st.booleans())
def test_idx_gives_back_what_was_written(data, size, zipped, labelled, tmp_path_factory):
    images = {s: data.draw(hnp.arrays(np.uint8, (data.draw(st.integers(1, 4)), *size))) for s in ("train", "t10k")}
    labels = {s: data.draw(hnp.arrays(np.uint8, len(images[s]))) for s in images}
    folder = tmp_path_factory.mktemp("idx")
    write_idx(folder, images, zipped)
    if labelled:
        write_idx(folder, labels, zipped)
    spec, splits = idx.load(str(folder))
    found = sorted({int(each) for label in labels.values() for each in label}) if labelled else []
    names = () if found == list(range(len(found))) else tuple(map(str, found))
    assert spec == DataSpec((*size, 1), "pixels", len(found), names=names)
    for split, stem in (("train", "train"), ("test", "t10k")):
        np.testing.assert_array_equal(splits[split]["x"], images[stem][..., None])
        assert ("label" in splits[split]) == labelled
        if labelled:
            np.testing.assert_array_equal([found[each] for each in splits[split]["label"]], labels[stem])


@pytest.mark.parametrize("name", ["{}-images.idx3-ubyte", "emnist-letters-{}-images-idx3-ubyte"])
def test_idx_reads_dotted_names_and_those_of_emnist(name, tmp_path):
    x = RNG.integers(0, 256, (2, 3, 4, 4), np.uint8)
    for stem, part in zip(("train", "test" if "emnist" in name else "t10k"), x):
        (tmp_path / name.format(stem)).write_bytes(idx_bytes(part))
    _, splits = idx.load(str(tmp_path))
    np.testing.assert_array_equal([splits["train"]["x"], splits["test"]["x"]], x[..., None])
    (tmp_path / "emnist-digits-train-images-idx3-ubyte").write_bytes(idx_bytes(x[1]))
    if "emnist" in name:
        with pytest.raises(UserError, match="emnist-digits, emnist-letters\n.*data.prefix"):
            idx.load(str(tmp_path))
        assert len(idx.load(str(tmp_path), prefix="emnist-letters")[1]["test"]["x"]) == 3


TRAIN = "train-images-idx3-ubyte"
WHOLE = idx_bytes(np.zeros((3, 4, 4), np.uint8))
DAMAGE = {
    "truncated": (TRAIN, WHOLE[:-1], "64 bytes are 3 x 4 x 4 values and a header; it has 63"),
    "overlong": (TRAIN, WHOLE + b"!", "it has 65"),
    "header only in part": (TRAIN, WHOLE[:9], "damaged"),
    "no bytes": (TRAIN, b"", "starts with 0x;"),
    "empty": (TRAIN, idx_bytes(np.zeros((0, 4, 4), np.uint8)), "0 x 4 x 4"),
    "labels for images": (TRAIN, idx_bytes(np.zeros(3, np.uint8)), "0x00000801.*0x00000803"),
    "no gzip": (TRAIN + ".gz", WHOLE, "gzip"),
    "truncated gzip": (TRAIN + ".gz", gzip.compress(WHOLE)[:-9], "truncated"),
    "missing": (TRAIN, None, "holds neither"),
    "label count": ("train-labels-idx1-ubyte", idx_bytes(np.zeros(2, np.uint8)), "3 images but 2 labels"),
    "no label of one": ("train-labels-idx1-ubyte", None, "holds neither"),
    "two sizes": ("t10k-images-idx3-ubyte", idx_bytes(np.zeros((2, 5, 4), np.uint8)), r"\(4, 4\).*\(5, 4\)"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_idx_names_the_damage(damage, tmp_path):
    name, data, message = DAMAGE[damage]
    write_idx(tmp_path, {"train": np.zeros((3, 4, 4), np.uint8), "t10k": np.zeros((2, 4, 4), np.uint8)})
    write_idx(tmp_path, {"train": np.zeros(3, np.uint8), "t10k": np.zeros(2, np.uint8)})
    idx.load(str(tmp_path))
    (tmp_path / name.removesuffix(".gz")).unlink()
    if data is not None:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(UserError, match=message) as error:
        idx.load(str(tmp_path))
    assert str(tmp_path) in str(error.value)


@pytest.mark.parametrize("folder", ["", "nowhere", __file__])
def test_idx_wants_a_folder(folder):
    with pytest.raises(UserError, match="folder"):
        idx.load(folder)


# --- files ------------------------------------------------------------------------------------------------------------


@given(
    count=st.integers(2, 30),
    shape=hnp.array_shapes(min_dims=1, max_dims=3, max_side=3),
    dtype=st.sampled_from([np.uint8, np.float16, np.float32, np.float64]),
    share=st.sampled_from([0.01, 0.1, 0.4]),
)
def test_files_splits_an_array_without_losing_any(count, shape, dtype, share, tmp_path_factory):
    x = RNG.integers(0, 256, (count, *shape)).astype(dtype)
    file = tmp_path_factory.mktemp("files") / "a.npz"
    np.savez(file, x=x, label=np.arange(count, dtype=np.float32))
    spec, splits = files.load(str(file), str(share), layout=("NF", "NHW", "NHWC")[len(shape) - 1])
    assert spec.shape == (shape if len(shape) != 2 else (*shape, 1))
    assert (spec.kind, spec.label_dim) == ("pixels" if dtype == np.uint8 else "reals", 1)
    sides = [splits[s]["label"][:, 0].astype(int) for s in ("train", "test")]
    assert sorted(np.concatenate(sides)) == list(range(count))
    assert all(list(side) == sorted(side) for side in sides)
    assert len(sides[1]) == max(1, round(share * count))
    for side, numbers in zip(splits.values(), sides):
        expected = x[numbers].astype(side["x"].dtype).reshape(side["x"].shape)
        np.testing.assert_array_equal(side["x"], expected)


def test_files_holds_out_every_class_of_a_sorted_file(tmp_path):
    np.savez(tmp_path / "sorted.npz", x=RNG.normal(size=(500, 7)), label=np.repeat(np.arange(5), 100))
    (_, first), (_, again) = (files.load(str(tmp_path / "sorted.npz")) for _ in range(2))
    assert np.bincount(first["test"]["label"]).min() > 0
    np.testing.assert_array_equal(first["test"]["x"], again["test"]["x"])


def test_files_keeps_a_split_of_the_users_own(tmp_path):
    arrays = {"x": RNG.integers(0, 2, (6, 3, 4, 2), np.uint8), "x_test": RNG.integers(0, 2, (3, 3, 4, 2), np.uint8)}
    np.savez(tmp_path / "own.npz", **arrays)
    spec, splits = files.load(str(tmp_path / "own.npz"))
    assert spec == DataSpec((3, 4, 2), "pixels", levels=2)
    np.testing.assert_array_equal(splits["train"]["x"], arrays["x"])
    np.testing.assert_array_equal(splits["test"]["x"], arrays["x_test"])
    with pytest.raises(UserError, match="must be left out"):
        files.load(str(tmp_path / "own.npz"), "0.2")


X = np.ones((8, 5), np.float32)
BAD = {
    "rank": ({"x": np.zeros(8)}, r"shape \[8\]"),
    "no examples": ({"x": np.zeros((0, 5))}, r"shape \[0, 5\]"),
    "dtype": ({"x": np.zeros((8, 5), complex)}, "complex128"),
    "NaN": ({"x": np.where(np.arange(40).reshape(8, 5) == 12, np.nan, X)}, "1 of 8 examples.*NaN.*number 2"),
    "infinite as float32": ({"x": np.full((8, 5), 1e300)}, "8 of 8 examples"),
    "other keys": ({"z": X, "w": X}, r"holds z, w; expected x.*\n.*data\.array=NAME"),
    "label count": ({"x": X, "label": np.arange(7)}, r"shape \[7\]"),
    "label dtype": ({"x": X, "label": np.arange(8) * 1j}, "complex128"),
    "unlike test": ({"x": X, "x_test": X[:, 1:]}, "differ"),
    "objects": ({"x": np.array([[None, None]])}, "cannot be read"),
}


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.filterwarnings("ignore:overflow")
def test_files_refuses_bad_arrays(bad, tmp_path):
    arrays, message = BAD[bad]
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(UserError, match=f"bad.npz.*{message}"):
        files.load(str(tmp_path / "bad.npz"))
    if list(arrays) == ["x"]:
        np.save(tmp_path / "bad.npy", arrays["x"])
        with pytest.raises(UserError, match=f"bad.npy.*{message}"):
            files.load(str(tmp_path / "bad.npy"))


@pytest.mark.parametrize("split", ["0", "1", "-0.5", "0.99", "nan", "inf", "third"])
def test_files_refuses_an_empty_side(split, tmp_path):
    np.save(tmp_path / "a.npy", X)
    with pytest.raises(UserError, match="share such as 0.1"):
        files.load(str(tmp_path / "a.npy"), split)


def test_files_refuses_what_is_no_array(tmp_path):
    for name in ("text.npy", "text.npz", "text.doc", "text.parquet"):
        (tmp_path / name).write_text("1,2,3")
        with pytest.raises(UserError, match=name):
            files.load(str(tmp_path / name))
    np.save(tmp_path / "cut.npy", X)
    (tmp_path / "cut.npy").write_bytes((tmp_path / "cut.npy").read_bytes()[:-1])
    for path, message in ((str(tmp_path / "cut.npy"), "cut.npy cannot be read"), ("nowhere", "'nowhere'"), ("", "''")):
        with pytest.raises(UserError, match=message):
            files.load(path)


def write_images(folder: Path, names: list[str], shape: tuple[int, ...]) -> np.ndarray:
    x = RNG.integers(0, 256, (len(names), *shape), np.uint8)
    for name, image in zip(names, x):
        (folder / name).parent.mkdir(exist_ok=True)
        Image.fromarray(image).save(folder / name)
    return x


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3)])
def test_files_reads_a_folder(shape, tmp_path):
    x = write_images(tmp_path, [f"{i:02}.png" for i in range(20)], shape)
    (tmp_path / "notes.txt").write_text("not an image")
    spec, splits = files.load(str(tmp_path), "0.25")
    assert spec == DataSpec((*shape, 1)[:3], "pixels", levels=256)
    assert [len(splits[s]["x"]) for s in ("train", "test")] == [15, 5]
    found = {image.tobytes() for side in splits.values() for image in side["x"]}
    assert found == {image.tobytes() for image in x}


def test_files_takes_subfolders_as_classes_and_grey_among_colour(tmp_path):
    grey = write_images(tmp_path, [f"cat/{i}.png" for i in range(4)], (3, 3))
    colour = write_images(tmp_path, [f"dog/{i}.png" for i in range(4)], (3, 3, 3))
    spec, splits = files.load(str(tmp_path), "0.5")
    assert spec == DataSpec((3, 3, 3), "pixels", classes=2, names=("cat", "dog"))
    pairs = {(image.tobytes(), int(k)) for side in splits.values() for image, k in zip(side["x"], side["label"])}
    expected = {(np.stack([image] * 3, -1).tobytes(), 0) for image in grey}
    assert pairs == expected | {(image.tobytes(), 1) for image in colour}


def test_files_reads_no_hidden_folder_and_no_folder_as_an_image_and_turns_photographs(tmp_path):
    (tmp_path / "x.png").mkdir()
    write_images(tmp_path, ["cat/0.png", "dog/0.png", ".ipynb_checkpoints/0.png"], (3, 3))
    found = folders.members(tmp_path, images.SUFFIXES)
    assert [(member.split, member.label) for member in found] == [("train", "cat"), ("train", "dog")]
    turned = Image.Exif()
    turned[0x0112] = 6  # Orientation: a quarter to the right
    Image.fromarray(np.zeros((2, 6), np.uint8)).save(tmp_path / "a.jpg", exif=turned)
    assert images.read([tmp_path / "a.jpg"], Reading())[0].shape == (1, 6, 2, 1)


def test_files_names_bad_images(tmp_path):
    with pytest.raises(UserError, match="holds no image"):
        files.load(str(tmp_path))
    write_images(tmp_path, ["a.png", "b.jpg"], (4, 6))
    write_images(tmp_path, ["c.png"], (4, 5))
    with pytest.raises(UserError, match=r"a.png is 6x4, c.png is 5x4\n.*data\.size=HEIGHT,WIDTH"):
        files.load(str(tmp_path))
    (tmp_path / "c.png").write_text("no image")
    with pytest.raises(UserError, match="c.png cannot be read"):
        files.load(str(tmp_path))
    (tmp_path / "c.png").write_bytes((tmp_path / "a.png").read_bytes()[:60])
    with pytest.raises(UserError, match="c.png cannot be read"):
        files.load(str(tmp_path))
    Image.fromarray(np.zeros((4, 6), np.uint16)).save(tmp_path / "c.png")
    with pytest.raises(UserError, match="a.png is 8-bit grey and c.png is 16-bit grey"):
        files.load(str(tmp_path))


CUT = {"spec.json": 0, "train/x.npy": -1, "test/x.npy": 0}


@pytest.mark.parametrize("name", CUT)
def test_what_a_power_cut_left_of_a_cached_set_is_named(name, tmp_path):
    spec, splits = DataSpec((2,), "reals"), {split: {"x": np.zeros((3, 2))} for split in cached.SPLITS}
    home = tmp_path / "set"
    assert cached.kept(home, lambda: cached.write(home, spec, splits))[0] == spec
    (home / name).write_bytes((home / name).read_bytes()[: CUT[name]])
    with pytest.raises(UserError, match=f"{home} is damaged.*\ndelete it"):
        cached.kept(home, lambda: None)


# --- real data --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "mean", "first"), [("mnist", 0.1307, [5, 0, 4]), ("fashion_mnist", 0.2860, [9, 0, 0])]
)
def test_idx_reads_the_real_sets(name, mean, first):
    folder = Path(os.environ.get("AE_JAX_DATA_DIR") or "/nowhere", name)
    if not folder.is_dir():
        pytest.skip(f"$AE_JAX_DATA_DIR names no folder that holds {name}/")
    spec, splits = idx.load(str(folder))
    assert spec == DataSpec((28, 28, 1), "pixels", classes=10)
    assert [len(splits[s]["x"]) for s in ("train", "test")] == [60_000, 10_000]
    assert splits["train"]["x"].mean() / 255 == pytest.approx(mean, abs=5e-5)  # the means that everyone normalises by
    assert splits["train"]["label"][:3].tolist() == first
