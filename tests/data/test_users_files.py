"""A user's own files: every kind is read value by value as NumPy, Pillow or pandas reads it, and can be trained on."""

import json
import shutil

import numpy as np
import pandas
import pytest
from data import users_files
from data.users_files import COLOUR, GREY, KINDS, RNG, TABLE
from PIL import Image, features
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from ae_jax.commands.apply import shared
from ae_jax.core.errors import RunFailed, UserError
from ae_jax.data import labels, layout, splits
from ae_jax.data.formats import Reading, arrays, images, windows
from ae_jax.data.sources import files
from ae_jax.experiments import analysis, configuration, eval_data, experiment, runner


def whole(path, **options):
    """(spec, arrays of all examples in the order of the file) of a path."""
    spec, found = files.load(str(path), whole=True, **options)
    parts = [found[name] for name in ("all", "train", "validation", "test") if name in found]
    return spec, {key: np.concatenate([np.asarray(part[key]) for part in parts]) for key in parts[0]}


def config_on(path, name="vae", **keys):
    """A config in `:smoke` on a file, with these keys, in which "__" stands for a dot."""
    config = configuration.load(f"configs/{name}.py:smoke")
    config.data.update(source="files", path=str(path), dir="", size=None, validation=0)
    config.expected = {}
    config.train.update(steps=1, eval_every=0)
    config.model.hidden = (4,)
    configuration.override_all(config, [(key.replace("__", "."), str(value)) for key, value in keys.items()])
    return config


def trained_on(path, workdir, name="vae", **keys):
    """The opened run of such a config."""
    runner.train_run(config_on(path, name, **keys), str(workdir), say=lambda *_, **__: None)
    return analysis.load(str(workdir))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_kind_is_read_as_others_read_it(kind, tmp_path):
    path = tmp_path / kind.name
    kind.make(path)
    options = {key.partition(".")[2]: value for key, value in kind.keys.items() if key != "data.scale"}
    spec, found = whole(path, **options)
    assert spec.shape == kind.x.shape[1:]
    np.testing.assert_array_equal(np.asarray(found["x"]), kind.x.astype(found["x"].dtype))
    assert spec.kind == ("reals" if "data.scale" in kind.keys or kind.x.dtype.kind == "f" else "pixels")


# --- layouts ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("axes, order", [("NCHW", (0, 2, 3, 1)), ("NCT", (0, 2, 1)), ("NHWC", (0, 1, 2, 3))])
def test_a_layout_is_transposed_and_transposed_back(axes, order):
    x = RNG.rand(*range(2, 2 + len(axes)))
    np.testing.assert_array_equal(layout.to_examples(x, axes), np.transpose(x, order))
    np.testing.assert_array_equal(layout.from_examples(layout.to_examples(x, axes), axes), x)


def test_channels_first_are_refused_and_other_doubt_is_said_once(tmp_path, capsys):
    np.save(tmp_path / "first.npy", COLOUR.transpose(0, 3, 1, 2))
    with pytest.raises(UserError, match=r"\[40, 3, 8, 6\](?s:.*)data\.layout=NCHW"):
        files.load(str(tmp_path / "first.npy"))
    np.save(tmp_path / "series.npy", RNG.rand(20, 9, 2))
    for _ in range(2):
        files.load(str(tmp_path / "series.npy"))
    said = capsys.readouterr().err
    assert said.count("series.npy") == 1 and "data.layout=NTC" in said and "grey images of 9 x 2" in said
    files.load(str(tmp_path / "series.npy"), layout="NTC")
    assert not capsys.readouterr().err
    with pytest.raises(UserError, match="data.layout=NF has 2 axes"):
        files.load(str(tmp_path / "series.npy"), layout="NF")


# --- labels -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "stored, numbers, names",
    [
        (np.arange(40) % 4 + 1, np.arange(40) % 4, ("1", "2", "3", "4")),
        (np.array([[7], [70000]] * 20), np.arange(40) % 2, ("7", "70000")),
        (np.array(["b", "a"] * 20), 1 - np.arange(40) % 2, ("a", "b")),
        (np.array(["b", "a"] * 20, object), 1 - np.arange(40) % 2, ("a", "b")),
        (np.eye(3, dtype=int)[np.arange(40) % 3], np.arange(40) % 3, ()),
        (np.arange(40) % 2 == 0, 1 - np.arange(40) % 2, ()),
    ],
)
def test_classes_of_any_name_become_numbers_in_sorted_order(stored, numbers, names):
    found, fields = labels.read({"train": stored[:30], "test": stored[30:]}, {"train": 30, "test": 10}, "file")
    np.testing.assert_array_equal(np.concatenate([found["train"], found["test"]]), numbers)
    assert found["train"].dtype == np.int32
    assert fields == {"classes": len(set(numbers)), "names": names}


def test_numbers_of_examples_and_too_many_classes_are_refused():
    for count, stored in ((50, np.arange(50)), (4000, np.arange(4000) // 2)):
        with pytest.raises(UserError, match=r"classes for \d+ examples\n.*data\.label=none"):
            labels.read({"train": stored}, {"train": count}, "file")


def test_other_data_have_the_classes_of_the_run(tmp_path):
    users_files.classes(tmp_path / "both")
    users_files.save_all(tmp_path / "one" / "dogs", GREY)
    users_files.save_all(tmp_path / "cows" / "cows", GREY[:20])
    users_files.save_all(tmp_path / "cows" / "dogs", GREY[:20])
    config = config_on(tmp_path / "both")
    spec, _ = splits.load(config.data, 0)
    assert spec.names == ("cats", "dogs")
    found = splits.other(config, spec, f"files:{tmp_path / 'one'}", whole=True)["all"]
    assert set(found["label"]) == {1}
    assert "label" not in splits.other(config, spec, f"files:{tmp_path / 'cows'}", whole=True)["all"]


# --- arrays and tables ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "names, examples, label",
    [
        (["x_train", "y_train", "x_test", "y_test"], {"train": "x_train", "test": "x_test"}, "y_train"),
        (["train_images", "val_images", "train_labels", "val_labels"], None, "train_labels"),
        (["X", "y"], {"train": "X"}, "y"),
        (["data", "images", "target"], {"train": "images"}, "target"),
        (["arr_0", "arr_1"], {"train": "arr_0"}, None),
        (["spectra"], {"train": "spectra"}, None),
    ],
)
def test_arrays_are_found_under_their_usual_names(names, examples, label, tmp_path):
    found, of_labels = arrays.choose(tmp_path, names)
    assert found == (examples or {"train": "train_images", "validation": "val_images"})
    assert of_labels.get("train") == label


def test_only_the_arrays_that_are_used_are_read(tmp_path):
    # An array of objects cannot be read without pickle.
    np.savez(tmp_path / "a.npz", X=GREY, y=np.arange(40) % 2, notes=np.array([{}, None]))
    assert files.load(str(tmp_path / "a.npz"))[0].classes == 2


def test_a_table_is_read_by_its_header_and_without_its_index(tmp_path, capsys):
    TABLE.to_csv(tmp_path / "t.csv")
    spec, found = whole(tmp_path / "t.csv")
    assert (spec.features, spec.names) == (("age", "height", "income"), ("cat", "dog", "eel"))
    assert "species" in capsys.readouterr().err
    pandas.DataFrame(RNG.rand(9, 4)).to_csv(tmp_path / "n.csv", index=False)  # its header is 0,1,2,3
    assert whole(tmp_path / "n.csv")[1]["x"].shape == (9, 4)
    (tmp_path / "headless.csv").write_text("1.5;2;setosa\n3;4;setosa\n5;6;other\n")
    spec, found = whole(tmp_path / "headless.csv")
    np.testing.assert_array_equal(found["x"], [[1.5, 2], [3, 4], [5, 6]])
    assert spec.names == ("other", "setosa")
    spec, found = whole(tmp_path / "t.csv", columns=("income", "age"), label="none")
    np.testing.assert_array_equal(found["x"], TABLE[["income", "age"]])


@pytest.mark.parametrize(
    "text, message",
    [
        ("a,b\n1,\n2,3\n", r"'b' has no number in 1 of 2 rows, first in row 1\n.*data\.columns"),
        ("a,b,c\n1,x,u\n2,y,v\n", r"'b' holds text, 'x' in row 1\n.*data\.columns"),
        ("a,b\n1,x\n2\n", "line 3 has 1 cells"),
        ("a,a\n1,2\n", "two columns called 'a'"),
        ("", "is empty"),
    ],
)
def test_a_table_that_is_none_of_numbers_is_refused(text, message, tmp_path):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(UserError, match=message):
        files.load(str(tmp_path / "t.csv"))


# --- images -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".png", ".tif", ".BMP", ".webp", ".gif", ".ppm", ".tga", ".jpg", ".ico"])
def test_every_format_is_read_as_pillow_reads_it(suffix, tmp_path):
    if suffix == ".webp" and not features.check("webp"):
        pytest.skip("this Pillow has no WebP")
    image = COLOUR[:1].repeat(4, axis=1).repeat(4, axis=2)
    users_files.save_all(tmp_path, image, suffix)
    (file,) = tmp_path.iterdir()
    with Image.open(file) as opened:
        expected = np.asarray(opened.convert("RGB"))
    np.testing.assert_array_equal(images.read([file], Reading())[0][0], expected)


def test_mixed_sizes_are_cropped_or_padded(tmp_path):
    tall = np.repeat(np.arange(0, 220, 20, dtype=np.uint8)[:, None], 5, axis=1)  # 11 x 5
    users_files.save_all(tmp_path, [tall, tall[:5]])
    paths = sorted(tmp_path.iterdir())
    crop = images.read(paths, Reading(size=(5, 5)))[0][..., 0]
    np.testing.assert_array_equal(crop, [tall[3:8], tall[:5]])
    pad = images.read(paths, Reading(size=(11, 11), fit="pad", background="white"))[0][..., 0]
    np.testing.assert_array_equal(pad[0], np.pad(tall, ((0, 0), (3, 3)), constant_values=255))
    with pytest.raises(UserError, match="data.size"):
        images.read(paths, Reading())


def test_unreadable_images_are_skipped_on_request_and_counted(tmp_path, capsys):
    users_files.save_all(tmp_path, GREY[:6])
    (tmp_path / "004.png").write_text("no image")
    (tmp_path / "005.png").write_bytes((tmp_path / "003.png").read_bytes()[:60])
    with pytest.raises(UserError, match="004.png"):
        whole(tmp_path)
    found = whole(tmp_path, skip_unreadable=True)[1]
    np.testing.assert_array_equal(found["x"][..., 0], GREY[:4])
    assert "left out 2 of 6 files" in capsys.readouterr().err


def test_half_transparent_pixels_are_mixed_with_the_background(tmp_path, capsys):
    layers = np.concatenate([COLOUR[:3], GREY[:3, ..., None]], axis=-1)
    users_files.save_all(tmp_path, layers)
    alpha = GREY[:3, ..., None] / 255
    for name, level in (("white", 255), ("black", 0)):
        found = whole(tmp_path, background=name)[1]["x"]
        np.testing.assert_allclose(found, alpha * COLOUR[:3] + (1 - alpha) * level, atol=1)
    assert "3 images" in capsys.readouterr().err
    # A run that began under older rules keeps its images.
    np.testing.assert_array_equal(whole(tmp_path, format_number=4)[1]["x"], COLOUR[:3])
    with pytest.raises(UserError, match="data.background='wite'"):
        whole(tmp_path, background="wite")


def test_folders_of_splits_are_splits_with_classes_in_them(tmp_path):
    for name, part in (("train", GREY[:20]), ("Val", GREY[20:30]), ("test", GREY[30:])):
        users_files.save_all(tmp_path / name / "cats", part[::2])
        users_files.save_all(tmp_path / name / "dogs", part[1::2])
    spec, found = files.load(str(tmp_path))
    assert spec.names == ("cats", "dogs")
    assert {name: np.bincount(side["label"]).tolist() for name, side in found.items()} == {
        "train": [10, 10],
        "validation": [5, 5],
        "test": [5, 5],
    }
    users_files.save_all(tmp_path / "more", GREY[:2])
    with pytest.raises(UserError, match="also more/"):
        files.load(str(tmp_path))


# --- windows ----------------------------------------------------------------------------------------------------------


def test_windows_are_slices_and_no_two_splits_share_a_moment():
    x = np.stack([np.arange(1000), np.arange(1000)], axis=1)
    found = windows.cut(x, 20, 5, 0.1, 12, False)
    times = {name: set(part[..., 0].ravel()) for name, part in found.items()}
    assert len(found["validation"]) == 12
    assert not (times["train"] & times["test"] or times["train"] & times["validation"])
    for part in found.values():
        np.testing.assert_array_equal(part[:, :, 1] - part[:, :1, 1], np.tile(np.arange(20), (len(part), 1)))
        assert set(np.diff(part[:, 0, 0])) == {5}
    several = windows.cut(np.arange(6 * 50).reshape(6, 50, 1), 10, 0, 0.3, 0, False)
    assert {name: len(part) for name, part in several.items()} == {"train": 20, "test": 10}
    with pytest.raises(UserError, match="data.window=2000"):
        windows.cut(x, 2000, 1, 0.1, 0, False)


# --- scaling ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale, scaler", [("minmax", MinMaxScaler), ("standardize", StandardScaler)])
@pytest.mark.parametrize("name", ["x.npy", "x.npz"])
def test_a_scaling_is_fitted_to_the_training_split(scale, scaler, name, tmp_path):
    x = RNG.randn(50, 4) * [1, 1e-3, 1e3, 0] + [0, 1e6, -1e9, 7]
    (np.save if name == "x.npy" else np.savez)(tmp_path / name, x)
    test = np.sort(np.random.RandomState(0).permutation(50)[:5])
    fitted = scaler().fit(np.delete(x, test, axis=0))
    _, found = splits.load(config_on(tmp_path / name, data__scale=scale).data, 0)
    np.testing.assert_allclose(np.asarray(found["train"]["x"]), fitted.transform(np.delete(x, test, axis=0)), atol=2e-5)
    np.testing.assert_allclose(np.asarray(found["test"]["x"]), fitted.transform(x[test]), atol=2e-5)


@pytest.fixture(scope="module")
def scaled(tmp_path_factory):
    """A folder with a table, a run on it that scales, and one like it that was resumed with other data there."""
    folder = tmp_path_factory.mktemp("scaled")
    TABLE.to_csv(folder / "t.csv", index=False)
    keys = {"model__likelihood": "gaussian", "data__scale": "standardize", "train__checkpoint_every": 2}
    runner.train_run(config_on(folder / "t.csv", "cvae", train__steps=2, **keys), str(folder / "run"))
    shutil.copytree(folder / "run", folder / "resumed")
    runner.train_run(config_on(folder / "t.csv", "cvae", train__steps=4, **keys), str(folder / "run"))
    more = pandas.concat([TABLE, TABLE.assign(age=1e6)])
    more.to_csv(folder / "t.csv", index=False)
    runner.train_run(config_on(folder / "t.csv", "cvae", train__steps=4, **keys), str(folder / "resumed"))
    TABLE.to_csv(folder / "t.csv", index=False)
    return folder


def test_the_scaling_of_a_run_stays_when_it_is_resumed_and_stands_in_a_file_of_its_own(scaled):
    stored = json.loads((scaled / "run" / "config.json").read_text())["spec"]
    assert not stored["mean"] and not stored["deviation"]
    one, other = (np.load(scaled / name / "scaling.npz") for name in ("run", "resumed"))
    np.testing.assert_array_equal(one["offset"], other["offset"])
    np.testing.assert_array_equal(one["divisor"], other["divisor"])
    assert analysis.load(str(scaled / "resumed")).spec.mean == tuple(one["offset"])


def test_apply_reads_and_writes_a_table_in_its_own_units_with_classes_by_name(scaled, tmp_path):
    moved = shutil.copytree(scaled / "run", tmp_path / "moved")
    trained = analysis.load(str(moved))
    (path,), _ = shared.apply(trained, "reconstruct", str(scaled / "t.csv"), str(tmp_path), {})
    found = pandas.read_csv(path)
    assert list(found) == ["age", "height", "income"] and len(found) == len(TABLE)
    # A model of two steps gives values near the mean of each column, in the column's unit.
    for name in found:
        assert abs(found[name].mean() - TABLE[name].mean()) < 2 * TABLE[name].std()
        assert found[name].std() < 2 * TABLE[name].std()
    paths, _ = shared.apply(trained, "encode", str(scaled / "t.csv"), str(tmp_path), {})
    codes = pandas.read_csv(tmp_path / "t.csv")
    assert codes["label"].tolist() == TABLE["species"].tolist()
    (path,), _ = shared.apply(trained, "sample", "", str(tmp_path), {"label": ("dog", "eel"), "count": 4})
    assert np.load(path).shape == (4, 3)
    with pytest.raises(UserError, match="'cow'(?s:.*)cat, dog, eel"):
        shared.apply(trained, "sample", "", str(tmp_path), {"label": ("cow",), "count": 4})
    (moved / "scaling.npz").unlink()
    with pytest.raises(UserError, match="scaling.npz is missing"):
        analysis.load(str(moved))


@pytest.mark.long
def test_non_finite_training_names_the_range_of_the_data_and_the_scaling(tmp_path):
    np.save(tmp_path / "x.npy", 1e20 * RNG.randn(40, 3))
    keys = {"model__likelihood": "gaussian", "train__max_bad_steps": 1, "train__steps": 4}
    with pytest.raises(RunFailed, match=r"values from -.*e\+20(?s:.*)data\.scale=standardize"):
        runner.train_run(config_on(tmp_path / "x.npy", **keys), str(tmp_path / "run"))


def test_values_outside_of_the_support_are_remedied_by_scaling(tmp_path):
    np.save(tmp_path / "x.npy", RNG.randn(40, 3))
    with pytest.raises(UserError, match="data.scale=minmax"):
        experiment.build(config_on(tmp_path / "x.npy")).check()
    experiment.build(config_on(tmp_path / "x.npy", data__scale="minmax", data__clip=True)).check()


# --- through the doors ------------------------------------------------------------------------------------------------


def test_results_have_the_shape_of_the_file_in_every_layout(tmp_path):
    x = COLOUR.transpose(0, 3, 1, 2)
    np.save(tmp_path / "first.npy", x)
    trained = trained_on(tmp_path / "first.npy", tmp_path / "run", data__layout="NCHW")
    by_layout = {}
    for name, values in {"first": x, "last": COLOUR, "flat": COLOUR.reshape(40, -1), "one": COLOUR[0]}.items():
        np.save(tmp_path / f"{name}.npy", values)
        (path,), _ = shared.apply(trained, "reconstruct", str(tmp_path / f"{name}.npy"), str(tmp_path / "out"), {})
        by_layout[name] = np.load(path)
        assert by_layout[name].shape == values.shape and by_layout[name].dtype == np.uint8
    np.testing.assert_array_equal(by_layout["first"].transpose(0, 2, 3, 1), by_layout["last"])
    np.testing.assert_array_equal(by_layout["flat"].reshape(COLOUR.shape), by_layout["last"])


def test_a_conditional_model_encodes_the_folder_it_was_trained_on(tmp_path):
    users_files.classes(tmp_path / "animals")
    trained = trained_on(tmp_path / "animals", tmp_path / "run", "cvae")
    shared.apply(trained, "encode", str(tmp_path / "animals"), str(tmp_path / "out"), {})
    table = pandas.read_csv(tmp_path / "out" / "animals.csv")
    assert table["label"].tolist() == [name.partition("/")[0] for name in table["file"]]
    dogs = tmp_path / "animals" / "dogs"
    shared.apply(trained, "encode", str(dogs), str(tmp_path / "out"), {"label": ("dogs",)})
    alone = pandas.read_csv(tmp_path / "out" / "dogs.csv")
    np.testing.assert_allclose(alone["z0"], table["z0"][table["label"] == "dogs"], atol=1e-5)


def test_a_limit_takes_examples_evenly(tmp_path):
    np.savez(tmp_path / "x.npz", x=GREY, label=np.arange(40) // 20)
    data = eval_data.data_of(experiment.build(config_on(tmp_path / "x.npz")), limit=6)
    assert set(data.train.arrays["label"]) == {0, 1} and len(data.train.arrays["x"]) == 6


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_kind_is_trained_on(kind, tmp_path):
    kind.make(tmp_path / kind.name)
    keys = {key.replace(".", "__"): value for key, value in kind.keys.items()}
    keys |= {"model__likelihood": kind.likelihood, "train__steps": 20, "train__eval_every": 20}
    config = config_on(tmp_path / kind.name, **keys)
    summary = runner.train_run(config, str(tmp_path / "run"))
    assert summary.step == 20 and all(np.isfinite(value) for value in summary.metrics.values())
    page = (configuration.ROOT / "docs" / "your-data.md").read_text()
    assert kind.row(analysis.load(str(tmp_path / "run")).experiment) in page.splitlines()
