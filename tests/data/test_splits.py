"""From a data section to examples: which are held out, which keep their labels, and other data in their place."""

import numpy as np
import pytest

from ae_jax.core.errors import UserError
from ae_jax.data import splits
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


def test_labels_are_kept_of_the_first_examples_only():
    whole, few = (splits.load(section(**changes).data, 0)[1] for changes in ({}, {"labelled": 7}))
    np.testing.assert_array_equal(few["train"]["label"][:7], whole["train"]["label"][:7])
    assert set(few["train"]["label"][7:]) == {-1} and few["train"]["label"].dtype == np.int32
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
