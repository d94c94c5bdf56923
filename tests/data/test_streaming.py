"""What is streamed is what is resident: the same batches, states and metrics, to the byte."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ae_jax.core.errors import UserError
from ae_jax.core.types import DataSpec
from ae_jax.data import streaming
from ae_jax.data.batching import Batches
from ae_jax.devices import mesh
from ae_jax.experiments import configuration, experiment
from ae_jax.models import ae
from ae_jax.models.likelihoods import gaussian
from ae_jax.models.nets import mlp
from ae_jax.objectives.reconstruction import reconstruction
from ae_jax.training import loop
from ae_jax.training.step import make_hparams, make_init, make_train_step

SPEC = DataSpec((3,), "reals")
ARRAYS = {"x": np.random.default_rng(0).normal(size=(23, 3)).astype(np.float32), "label": np.arange(23, dtype=np.int32)}


def both(batch_size, steps_per_chunk):
    chunk_bytes = steps_per_chunk * batch_size * (12 + 4)
    streamed = streaming.Streamed(ARRAYS, SPEC, batch_size, chunk_bytes=chunk_bytes)
    assert streamed.steps_per_chunk == min(steps_per_chunk, -(-23 // batch_size))  # no more than an epoch
    return Batches(ARRAYS, SPEC, batch_size), streamed


@pytest.mark.parametrize(("batch_size", "steps_per_chunk"), [(5, 1), (5, 3), (23, 2)])
def test_batches_are_the_same_from_any_step_on_through_epochs_and_windows(batch_size, steps_per_chunk, key):
    resident, streamed = both(batch_size, steps_per_chunk)
    arrays = resident.on_device().arrays
    expected, taken = jax.jit(resident.take), jax.jit(streamed.take)
    for start in (0, 7):
        feed = streamed.feed(key, start)
        for step, target in itertools.pairwise((start, start + 1, start + 6, start + 6 + 2 * steps_per_chunk)):
            for chunk, until in feed(step, target):
                assert chunk["x"].shape[:2] == (streamed.steps_per_chunk, batch_size)
                for number in range(step, until):
                    pair = expected(arrays, number, key), taken(chunk, number, key)
                    jax.tree.map(np.testing.assert_array_equal, *pair)
                step = until
            assert step == target


def test_iterating_is_the_same():
    resident, streamed = both(5, 2)
    for pair in zip(resident, streamed, strict=True):
        jax.tree.map(np.testing.assert_array_equal, *pair)


def fitted(batches, *stops):
    """(state, lines of metrics) after training up to each stop in turn, as a run that is resumed at each."""
    nets = dict(encoder=mlp.Encoder((4,)), decoder=mlp.Decoder((4,)), likelihood=gaussian.Likelihood)
    model, tx, lines = ae.Model(spec=SPEC, latent_dim=2, **nets), optax.adam(1e-2), []
    hparams = make_hparams({"reconstruction": 1.0})
    example = {"x": jnp.zeros((2, 3)), "inputs": jnp.zeros((2, 3)), "mask": jnp.ones(2)}
    state = jax.jit(make_init(model, tx))(jax.random.key(0), example, hparams)
    step = make_train_step(model, reconstruction, tx)
    hooks = [(5, lambda step, state, metrics: lines.append((step, metrics)))]
    for stop in stops:
        state, _ = loop.fit(state, batches, step, hparams, steps=stop, hooks=hooks)
    return state, lines


def test_training_leaves_the_same_bytes_resumed_within_a_chunk_or_not():
    resident, streamed = both(5, 4)
    (state, lines), (other, others) = fitted(resident, 10, 35), fitted(streamed, 10, 35)
    assert lines == others and len(lines) == 7
    as_bytes = lambda state: [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(state.replace(key=None))]
    assert as_bytes(state) == as_bytes(other)
    assert lines[0][1]["loss"] > lines[-1][1]["loss"]


def test_what_is_too_large_for_the_devices_is_streamed(monkeypatch):
    assert [streaming.wanted(stream, ARRAYS) for stream in (None, True, False)] == [False, True, False]
    monkeypatch.setattr(mesh, "device_memory", lambda: 2 * 16 * 23 - 1)
    assert [streaming.wanted(stream, ARRAYS) for stream in (None, True, False)] == [True, True, False]
    with pytest.raises(UserError, match="data.stream is 'yes'\nexpected True, False, or None"):
        streaming.wanted("yes", ARRAYS)


def test_a_config_says_so():
    config = configuration.load("configs/vae.py:smoke")
    configuration.override(config, "data.stream", "True")
    built = experiment.build(config)
    assert isinstance(built.batches("train"), streaming.Streamed)
    assert type(built.batches("train").on_device()) is Batches
