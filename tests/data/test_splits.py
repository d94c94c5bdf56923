"""From a data section to examples: which are held out, which keep their labels, and other data in their place."""

import numpy as np
import pytest
from PIL import Image

from ae_jax.core.errors import UserError
from ae_jax.data import mapped, splits
from ae_jax.data.sources import digits
from ae_jax.experiments import configuration

RNG = np.random.default_rng(0)


def section(**changes):
    """The data section of a config on the digits, and these changes."""
    config = configuration.load("configs/vae.py:digits")
    config.data.update({"validation": 0, **changes})
    return config


@pytest.fixture
def stored(tmp_path):
    """Files of black and white images as large as the digits: with a test split of their own, and without."""
    x, label = RNG.integers(0, 2, (30, 8, 8)).astype(np.uint8), np.arange(30) % 4
    np.savez(tmp_path / "own.npz", x=x[:20], label=label[:20], x_test=x[20:], label_test=label[20:])
    np.savez(tmp_path / "whole.npz", x=x, label=label)
    return tmp_path


def sorted_digits(folder, form):
    """300 digits, the zeros first: a file or a folder of class folders."""
    arrays = digits.load()[1]["train"]
    order = np.argsort(arrays["label"][:300], kind="stable")
    x, label = arrays["x"][order], arrays["label"][order]
    if form == "file":
        np.savez(folder / "sorted.npz", x=x, label=label)
        return folder / "sorted.npz"
    for number, (image, k) in enumerate(zip(x[..., 0], label)):
        (folder / f"class_{k}").mkdir(exist_ok=True)
        Image.fromarray(image).save(folder / f"class_{k}" / f"{number:03}.png")
    return folder


@pytest.mark.parametrize("form", ["file", "folder"])
def test_sorted_examples_leave_every_class_on_every_side(tmp_path, form):
    path = sorted_digits(tmp_path, form)
    spec, found = splits.load(section(source="files", path=str(path), validation=40).data, 0)
    assert spec.classes == 10
    assert {name: len(split["x"]) for name, split in found.items()} == {"train": 230, "test": 30, "validation": 40}
    for split in found.values():
        assert set(split["label"]) == set(range(10)) and (np.diff(split["label"]) >= 0).all()  # in the file's order


def test_validation_is_drawn_by_a_fixed_permutation_or_in_format_1_the_end():
    whole = digits.load()[1]["train"]
    drawn = np.sort(np.random.RandomState(1).permutation(1500)[:200])
    for number, held in ((2, drawn), (1, np.arange(1300, 1500))):
        found = splits.load(section(validation=200).data, 0, number)[1]
        for key, values in whole.items():
            np.testing.assert_array_equal(found["validation"][key], values[held])
            np.testing.assert_array_equal(found["train"][key], np.delete(values, held, axis=0))


def test_nothing_is_drawn_where_the_source_has_a_validation_split_of_its_own(monkeypatch):
    spec, own = digits.load()
    own = {"train": own["train"], "test": own["test"], "validation": {k: v[:7] for k, v in own["test"].items()}}
    asked = []
    monkeypatch.setattr(digits, "load", lambda validation=0: asked.append(validation) or (spec, dict(own)))
    for held in (0, 200):
        found = splits.load(section(validation=held).data, 0)[1]
        assert {name: len(split["x"]) for name, split in found.items()} == {"train": 1500, "test": 297, "validation": 7}
    old = splits.load(section(validation=200).data, 0, 1)[1]
    assert {name: len(split["x"]) for name, split in old.items()} == {"train": 1300, "test": 297, "validation": 200}
    assert asked == [0, 200, 0]


def test_what_is_mapped_from_a_file_stays_there(tmp_path, monkeypatch):
    spec, own = digits.load()
    np.save(tmp_path / "x.npy", own["train"]["x"])
    own["train"] = {"x": np.load(tmp_path / "x.npy", mmap_mode="r")}
    monkeypatch.setattr(digits, "load", lambda: (spec, dict(own)))
    found = splits.load(section(validation=200).data, 0)[1]
    assert all(isinstance(found[name]["x"], mapped.Rows) for name in ("train", "validation"))
    held = np.sort(np.random.RandomState(1).permutation(1500)[:200])
    np.testing.assert_array_equal(found["train"]["x"], np.delete(own["train"]["x"], held, axis=0))


def test_labels_are_kept_of_examples_evenly_over_the_split_or_in_format_4_of_the_first():
    whole = splits.load(section().data, 0)[1]
    for number, kept in ((5, np.linspace(0, 1499, 7).round().astype(int)), (4, np.arange(7))):
        few = splits.load(section(labelled=7).data, 0, number)[1]
        np.testing.assert_array_equal(few["train"]["label"][kept], whole["train"]["label"][kept])
        assert set(np.delete(few["train"]["label"], kept)) == {-1} and few["train"]["label"].dtype == np.int32
        np.testing.assert_array_equal(few["test"]["label"], whole["test"]["label"])
    with pytest.raises(UserError, match="labelled=1501 of 1500 labels"):
        splits.load(section(labelled=1501).data, 0)


def test_training_on_test_examples_adds_them_and_leaves_them_tested():
    whole, both = (splits.load(section(train_on_test=on, validation=100).data, 0)[1] for on in (False, True))
    for key in ("x", "label"):
        expected = np.concatenate([whole["train"][key], whole["test"][key]])
        np.testing.assert_array_equal(both["train"][key], expected)
        for name in ("validation", "test"):
            np.testing.assert_array_equal(both[name][key], whole[name][key])


def test_other_data_are_cut_as_their_source_cuts_them(stored):
    """Binarised once, digits and black and white files have examples of one kind."""
    config = section(source="files", path=str(stored / "whole.npz"), split="0.4", binarize="fixed", labelled=3)
    spec, own = splits.load(config.data, 0)
    assert len(own["test"]["x"]) == 12
    assert {name: len(side["x"]) for name, side in splits.other(config, spec, "digits").items()} == {
        "train": 1500,
        "test": 297,
    }
    found = splits.other(config, spec, f"files:{stored / 'own.npz'}")
    np.testing.assert_array_equal(found["test"]["label"], np.arange(20, 30) % 4)
    assert len(splits.other(config, spec, f"files:{stored / 'whole.npz'}")["test"]["x"]) == 3

    config = section(binarize="fixed")
    spec, _ = splits.load(config.data, 0)
    for name, count in (("own", 10), ("whole", 3)):
        found = splits.other(config, spec, f"files:{stored / name}.npz")
        assert len(found["test"]["x"]) == len(found["test"]["label"]) == count


def test_other_data_of_another_kind_are_refused(stored):
    config = section()
    spec, _ = splits.load(config.data, 0)
    with pytest.raises(UserError, match="in 2 levels\nthis model was trained on .* in 17 levels"):
        splits.other(config, spec, f"files:{stored / 'own.npz'}")
