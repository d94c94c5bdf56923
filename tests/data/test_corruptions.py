"""What happens to a batch before the model sees it."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ae_jax.core.errors import UserError
from ae_jax.core.types import DataSpec
from ae_jax.data import batching, corruptions, splits
from ae_jax.evaluation.data import EvalData
from ae_jax.evaluation.metrics import mse
from ae_jax.experiments import configuration, experiment
from ae_jax.training import loop
from ae_jax.training.step import streams

LEVELS = 5
SPEC = DataSpec((8, 8, 1), levels=LEVELS)


def prepared(key, stored, binarization="none", dequantized=False):
    prepare = corruptions.make_prepare(SPEC, binarization, dequantized)
    x = jnp.asarray(stored, jnp.float32) / (LEVELS - 1)
    return prepare(streams(key), {"x": x, "inputs": x, "label": jnp.arange(len(x))}, {})


def test_dynamic_binarisation_is_fresh_and_right_in_the_mean(key):
    stored = np.tile(np.arange(LEVELS).repeat(2000)[:, None, None, None], (1, 8, 8, 1))
    x = np.asarray(prepared(key, stored, "dynamic")["x"])
    assert set(np.unique(x)) == {0, 1}
    by_level = x.reshape(LEVELS, -1)
    probability = np.arange(LEVELS) / (LEVELS - 1)
    standard_error = np.sqrt(probability * (1 - probability) / by_level.shape[1])
    assert (np.abs(by_level.mean(axis=1) - probability) <= 4 * standard_error).all()
    np.testing.assert_array_equal(x, prepared(key, stored, "dynamic")["x"])
    assert (x != prepared(jax.random.key(1), stored, "dynamic")["x"]).mean() > 0.1


def test_dequantised_values_stay_in_the_bin_of_their_level_and_fill_it(key):
    stored = np.tile(np.arange(LEVELS).repeat(100)[:, None, None, None], (1, 8, 8, 1))
    within = np.asarray(prepared(key, stored, dequantized=True)["x"], float) * LEVELS - stored
    assert within.min() > -1e-5 and within.max() < 1 + 1e-5
    n = within.size
    assert abs(within.mean() - 1 / 2) < 4 * np.sqrt(1 / 12 / n)
    assert abs(within.var() - 1 / 12) < 4 * np.sqrt(1 / 180 / n)


def test_plain_batches_are_left_alone_and_inputs_are_the_target(key):
    stored = np.random.default_rng(0).integers(0, LEVELS, (4, 8, 8, 1))
    np.testing.assert_array_equal(prepared(key, stored)["x"], stored / np.float32(LEVELS - 1))
    for options in ({}, {"binarization": "dynamic"}, {"dequantized": True}):
        batch = prepared(key, stored, **options)
        np.testing.assert_array_equal(batch["inputs"], batch["x"])
        np.testing.assert_array_equal(batch["label"], np.arange(4))


def test_fixed_binarisation_is_drawn_once_by_its_seed():
    stored = np.random.default_rng(0).integers(0, LEVELS, (3000, 8, 8, 1)).astype(np.uint8)
    arrays = {"train": {"x": stored, "label": np.arange(3000)}, "test": {"x": stored[:2]}}
    draws = [corruptions.binarize_once(SPEC, arrays, seed) for seed in (0, 0, 1)]
    (spec, first), (_, again), (_, other) = draws
    assert spec == DataSpec((8, 8, 1), levels=2)
    jax.tree.map(np.testing.assert_array_equal, first, again)
    assert (first["train"]["x"] != other["train"]["x"]).mean() > 0.1
    np.testing.assert_array_equal(first["train"]["label"], np.arange(3000))
    for level in range(LEVELS):
        drawn, probability = first["train"]["x"][stored == level], level / (LEVELS - 1)
        assert abs(drawn.mean() - probability) <= 4 * np.sqrt(probability * (1 - probability) / drawn.size)


def test_runs_of_different_seeds_share_one_fixed_binarisation():
    """The old rule, the seed of the run, stays for runs that began under it."""
    config = configuration.load("configs/vae.py:digits")
    config.unlock()
    config.data.binarize = "fixed"

    def test_set(seed, format, **keys):
        config.data.update(keys)
        return splits.load(config.data, seed, format)[1]["test"]["x"]

    np.testing.assert_array_equal(test_set(0, 4), test_set(1, 4))
    assert (test_set(0, 3) != test_set(1, 3)).any()
    np.testing.assert_array_equal(test_set(5, 3), test_set(0, 4, binarize_seed=5))


def test_real_numbers_are_binarised_as_they_are():
    stored = np.full((2000, 3), 0.3, np.float32)
    _, drawn = corruptions.binarize_once(DataSpec((3,), "reals"), {"train": {"x": stored}}, seed=0)
    assert drawn["train"]["x"].mean() == pytest.approx(0.3, abs=0.03)


@pytest.mark.parametrize("name", ["box", "downsample"])
def test_corruptions_of_images_are_for_images(name, key):
    with pytest.raises(UserError, match=f"{name}.*is for images"):
        getattr(corruptions, name)(key, jnp.ones((2, 9)))


# --- corruptions of the inputs ----------------------------------------------------------------------------------------

GREY = jnp.asarray(np.random.default_rng(1).uniform(0.2, 0.8, (500, 8, 8, 1)), jnp.float32)


@pytest.mark.parametrize("name", ["gaussian", "salt_and_pepper", "masking", "box"])
def test_level_zero_is_identity_and_kept_pixels_are_untouched(name, key):
    corrupt, numbers = corruptions.find({"name": name, "level": 0.25})
    assert numbers == {"level": 0.25}
    np.testing.assert_array_equal(corrupt(key, GREY, level=0.0), GREY)
    corrupted = np.asarray(corrupt(key, GREY, level=0.25))
    np.testing.assert_array_equal(corrupted, corrupt(key, GREY, level=0.25))
    changed, n = corrupted != GREY, GREY.size
    if name == "gaussian":
        noise = corrupted - np.asarray(GREY)
        assert abs(noise.mean()) < 4 * 0.25 / np.sqrt(n) and abs(noise.std() - 0.25) < 4 * 0.25 / np.sqrt(2 * n)
    elif name == "box":
        assert (changed.sum(axis=(1, 2, 3)) == 4).all() and not corrupted[changed].any()  # 2 x 2 of 8 x 8 pixels
        assert (changed.any(axis=0)).all()
    else:
        values, counts = np.unique(corrupted[changed], return_counts=True)
        assert abs(changed.mean() - 0.25) < 4 * np.sqrt(0.25 * 0.75 / n)
        assert list(values) == ([0] if name == "masking" else [0, 1])
        assert np.ptp(counts) < 4 * np.sqrt(counts.sum())


def test_bright_noise_has_its_mean_but_at_level_zero(key):
    corrupt, _ = corruptions.find({"name": "gaussian", "level": 0.3, "mean": 0.5})
    noise = np.asarray(corrupt(key, GREY, level=0.3, mean=0.5)) - np.asarray(GREY)
    assert abs(noise.mean() - 0.5) < 4 * 0.3 / np.sqrt(GREY.size)
    np.testing.assert_array_equal(corrupt(key, GREY, level=0.0, mean=0.5), GREY)


def test_noise_is_fresh_at_every_step_and_the_same_again_by_seed():
    """The same parameters and examples: what differs between two steps is the noise; held-out batches keep theirs."""
    built = experiment.build(configuration.load("configs/denoising_ae.py:smoke"))
    state, step = built.init(jax.random.key(0)), jax.jit(built.step)
    batch = next(iter(built.batches("train")))
    loss = lambda state: float(step(state, batch, built.hparams)[1]["loss"])
    assert loss(state) == loss(state) != loss(state.replace(step=state.step + 1))
    assert loss(state) != loss(state.replace(key=jax.random.key(7)))
    data_of = lambda keys: jax.random.key_data(jnp.stack(list(keys.values())))[None]
    noted = dataclasses.replace(built, prepare=lambda keys, batch, _: {**batch, "keys": data_of(keys)})
    of_examples = noted.held_out(built.splits["test"], 20).finish(0, {"x": jnp.zeros((3, 1))})["keys"]
    words = lambda data: {tuple(key) for key in np.asarray(data).reshape(-1, 2).tolist()}
    metric = batching.keys_of_examples(jax.random.key(0), 0, 3)
    of_a_metric = jax.random.key_data(jax.vmap(lambda key: jax.random.split(key, 8))(metric))
    assert len(words(of_examples)) == of_examples.size // 2
    assert not words(of_examples) & words([*of_a_metric.reshape(-1, 2), *jax.random.key_data(metric)])
    once, again = (next(iter(built.held_out(built.splits["test"], 20)))["inputs"] for _ in range(2))
    other = next(iter(built.held_out(built.splits["test"], 20, seed=1)))["inputs"]
    np.testing.assert_array_equal(once, again)
    assert (np.asarray(once) != other).any()


def test_downsampling_averages_squares(key):
    small = corruptions.downsample(key, GREY, factor=4)
    expected = [[GREY[:, 4 * i : 4 * i + 4, 4 * j : 4 * j + 4].mean(axis=(1, 2)) for j in range(2)] for i in range(2)]
    np.testing.assert_allclose(small, np.moveaxis(np.array(expected), 2, 0), rtol=1e-5)
    with pytest.raises(UserError, match="corruption.factor=3 must divide 8x8"):
        corruptions.downsample(key, GREY, factor=3)


def test_corruption_makes_the_inputs_and_leaves_the_target(key):
    corrupt, _ = corruptions.find({"name": "gaussian", "level": 2.0, "clip": True})
    prepare = corruptions.make_prepare(SPEC, corrupt=corrupt)
    batch = prepare(streams(key), {"x": GREY, "inputs": GREY}, {"level": 2.0})
    np.testing.assert_array_equal(batch["x"], GREY)
    assert batch["inputs"].min() == 0 and batch["inputs"].max() == 1 and (batch["inputs"] != GREY).mean() > 0.9
    for section, message in (
        ({"name": "boxes"}, "did you mean 'box'"),
        ({"name": "box", "size": 1}, "'corruption.size'"),
    ):
        with pytest.raises(UserError, match=message):
            corruptions.find(section)


def test_the_clean_target_never_reaches_the_encoder():
    """Where every input is masked, no model beats the mean of the data; with the inputs as they are, it does."""
    errors = {}
    for level in (1.0, 0.0):
        config = configuration.load("configs/denoising_ae.py:smoke,noise=masking")
        for key, value in {"corruption.level": level, "train.steps": 300, "train.batch_size": 64}.items():
            configuration.override(config, key, str(value))
        built = experiment.build(config)
        state, _ = loop.fit(
            built.init(jax.random.key(0)), built.batches("train"), built.step, built.hparams, steps=built.steps
        )
        data = EvalData.of(test=built.held_out(built.splits["train"], 500))
        errors[level] = mse.evaluate(built.model, {"params": state.params}, data, jax.random.key(0))["mse_per_pixel"]
    x = built.splits["train"]["x"] / 16
    assert errors[0.0] < x.var(axis=0).mean() <= errors[1.0] + 1e-6


@pytest.mark.parametrize("factor", [2, 4])
def test_colour_images_are_enlarged_too(factor, tmp_path):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).integers(0, 256, (12, 32, 32, 3), np.uint8))
    config = configuration.load(f"configs/super_resolution.py:smoke,factor={factor}")
    for key, value in {"data.source": "files", "data.path": str(tmp_path / "x.npy")}.items():
        configuration.override(config, key, value)
    built = experiment.build(config)
    batch = next(iter(built.held_out(built.splits["train"], 4)))
    outputs = built.model.apply({"params": built.init(jax.random.key(0)).params}, batch)
    assert batch["inputs"].shape == (4, 32 // factor, 32 // factor, 3)
    assert outputs.likelihood.mean.shape == (1, 4, 32, 32, 3)
