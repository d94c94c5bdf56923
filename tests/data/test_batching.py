"""Batches: every example once an epoch, in an order that only the key and the step decide."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ae_jax.core.errors import UserError
from ae_jax.core.types import DataSpec
from ae_jax.data.batching import Batches, permuted, present


@settings(max_examples=10)  # a compilation each
@example(n=1)
@example(n=256)
@given(n=st.integers(2, 300))
def test_permuted_is_a_permutation(n):
    permute = jax.jit(lambda key: permuted(key, jnp.arange(n), n))
    places = np.stack([permute(jax.random.key(seed)) for seed in range(20)])
    np.testing.assert_array_equal(np.sort(places, axis=1), np.tile(np.arange(n), (20, 1)))
    assert n < 20 or len(np.unique(places, axis=0)) == 20


def test_permutations_of_all_keys_are_uniform():
    keys, n, trials = jax.random.split(jax.random.key(0), 7000), 7, 7000
    places = np.asarray(jax.jit(jax.vmap(lambda key: permuted(key, jnp.arange(n), n)))(keys))
    pairs = np.zeros((n, n, n, n))  # how often i goes to a while j goes to b
    for i in range(n):
        for j in range(n):
            np.add.at(pairs[i, j], (places[:, i], places[:, j]), 1)
    apart = ~np.eye(n, dtype=bool)
    for counts, probability in (
        (pairs[~apart][:, ~apart], 1 / n),
        (pairs[apart][:, apart], 1 / (n * (n - 1))),
    ):
        deviation = (counts - trials * probability) / np.sqrt(trials * probability * (1 - probability))
        assert np.abs(deviation).max() < 5


def batches(n, batch_size, **options):
    arrays = {"x": np.arange(n, dtype=np.float32)[:, None], "label": np.arange(n, dtype=np.int32)}
    return Batches(arrays, DataSpec((1,), "reals"), batch_size, **options).on_device()


def epoch(source, number, key):
    steps = np.arange(number * source.steps_per_epoch, (number + 1) * source.steps_per_epoch)
    return jax.jit(jax.vmap(lambda step: source.take(source.arrays, step, key)))(steps)


@pytest.mark.parametrize(("n", "batch_size"), [(1, 1), (7, 3), (8, 4), (9, 9), (33, 32)])
@pytest.mark.parametrize("shuffled", [False, True])
def test_every_example_comes_exactly_once_an_epoch(n, batch_size, shuffled, key):
    source, key = batches(n, batch_size), key if shuffled else None
    assert source.steps_per_epoch == int(np.ceil(n / batch_size))
    batch = jax.tree.map(np.asarray, epoch(source, 2, key))
    seen = batch["mask"].reshape(-1) == 1
    assert seen.sum() == n and (batch["mask"][:-1] == 1).all()
    np.testing.assert_array_equal(np.sort(batch["label"].reshape(-1)[seen]), np.arange(n))
    np.testing.assert_array_equal(batch["x"][..., 0], batch["label"])
    np.testing.assert_array_equal(batch["inputs"], batch["x"])


def test_orders_differ_between_keys_and_epochs():
    source = batches(200, 50)
    orders = [epoch(source, i, jax.random.key(seed))["label"].reshape(-1) for i, seed in ((0, 0), (1, 0), (0, 1))]
    for a, b in ((0, 1), (0, 2), (1, 2)):
        assert (orders[a] == orders[b]).mean() < 0.1


def test_a_batch_depends_on_its_number_alone(key):
    source = batches(23, 5)
    compiled = jax.jit(source.take)
    expected = [source.take(source.arrays, jnp.int32(step), key) for step in range(12)]
    for step in reversed(range(12)):
        jax.tree.map(np.testing.assert_array_equal, compiled(source.arrays, step, key), expected[step])
    scanned = jax.lax.map(lambda step: source.take(source.arrays, step, key), jnp.arange(12))
    jax.tree.map(np.testing.assert_array_equal, scanned, jax.tree.map(lambda *leaves: jnp.stack(leaves), *expected))


def test_iterating_keeps_the_stored_order_and_finishes_each_batch():
    source = batches(7, 3, finish=lambda step, batch: {**batch, "inputs": batch["x"] + 100 * step})
    for _ in range(2):
        found = list(source)
        labels = np.concatenate([batch["label"][batch["mask"] > 0] for batch in found])
        np.testing.assert_array_equal(labels, np.arange(7))
        np.testing.assert_array_equal([(batch["inputs"] - batch["x"]).mean() for batch in found], [0, 100, 200])


def test_pixels_are_presented_between_zero_and_one():
    stored = jnp.arange(256, dtype=jnp.uint8)
    np.testing.assert_allclose(present(stored, DataSpec((1,))), np.arange(256) / 255, rtol=1e-6)
    np.testing.assert_allclose(present(stored[:17], DataSpec((1,), levels=17)), np.arange(17) / 16)
    np.testing.assert_array_equal(present(jnp.array([-3.0, 7.0]), DataSpec((1,), "reals")), [-3, 7])
    source = Batches({"x": np.full((4, 2, 2, 1), 51, np.uint8)}, DataSpec((2, 2, 1)), 4)
    assert source.on_device().arrays["x"].dtype == np.uint8
    np.testing.assert_allclose(next(iter(source))["x"], 0.2)


@pytest.mark.parametrize("batch_size", [-1, 0, 11])
def test_a_batch_size_beyond_the_data_is_an_error(batch_size):
    with pytest.raises(UserError, match=f"batch size {batch_size} for 10 examples\nexpected a number from 1 to 10"):
        batches(10, batch_size)
