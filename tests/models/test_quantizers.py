"""Quantizers against closed forms, scikit-learn and the papers' own numbers."""

import functools
import math
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.cluster import KMeans

from ae_jax.core.errors import UserError
from ae_jax.core.types import DataSpec
from ae_jax.data.batching import Batches
from ae_jax.experiments import analysis, configuration, experiment, runner
from ae_jax.models import vq_vae
from ae_jax.models.nets import mlp
from ae_jax.models.quantizers import fsq, gradients, lfq, residual_vq, vq

KEY = jax.random.key(0)
DRAW = np.random.default_rng(0)
Z = DRAW.normal(size=(60, 3)).astype(np.float32)


def after_one_batch(quantizer, z, shown=None, **hparams):
    """The variables of a quantizer before and after one training step on vectors z."""
    variables = quantizer.init({"params": KEY}, z)
    _, new = quantizer.apply(
        variables, z, shown, True, hparams, mutable=["codebook", "sums"], rngs={"collections": KEY}
    )
    return variables, {**variables, **quantizer.after_batch(dict(new), KEY)}


# --- gradients --------------------------------------------------------------------------------------------------------


def test_rotation_gives_the_entry_forward_and_the_rotated_scaled_gradient_backward():
    e, q, g = DRAW.normal(size=(3, 5))
    unit = lambda v: v / np.linalg.norm(v)
    r = unit(unit(e) + unit(q))
    rotation = np.eye(5) - 2 * np.outer(r, r) + 2 * np.outer(unit(q), unit(e))
    np.testing.assert_allclose(rotation @ unit(e), unit(q), atol=1e-12)
    value, pullback = jax.vjp(lambda z: gradients.rotation(z, jnp.float32(q)[None]), jnp.float32(e)[None])
    np.testing.assert_allclose(value[0], q, atol=1e-6)
    expected = np.linalg.norm(q) / np.linalg.norm(e) * rotation.T @ g
    np.testing.assert_allclose(pullback(jnp.float32(g)[None])[0][0], expected, rtol=1e-5)


def test_gradients_are_finite_where_no_rotation_is_defined():
    z = jnp.float32([[1.0, 2.0], [0.0, 0.0]])
    gradient = jax.grad(lambda z: gradients.rotation(z, jnp.float32([[-1.0, -2.0], [1.0, 0.0]])).sum())(z)
    assert np.isfinite(gradient).all()


# --- vector quantization ----------------------------------------------------------------------------------------------


def test_an_average_without_memory_is_one_step_of_k_means():
    quantizer = vq.Quantizer(3, codes=4, start="batch", smoothing=0.0)
    before, after = after_one_batch(quantizer, Z, decay=0.0)
    start = np.asarray(before["codebook"]["entries"])
    expected = KMeans(4, init=start, n_init=1, max_iter=1, algorithm="lloyd").fit(Z)
    np.testing.assert_allclose(after["codebook"]["entries"], expected.cluster_centers_, atol=1e-5)


def test_padding_moves_no_entry():
    quantizer = vq.Quantizer(3, codes=4, start="batch", dead_below=0.1)
    shown = np.float32(np.arange(60) < 30)
    changed = np.where(shown[:, None] > 0, Z, 100)
    variables = quantizer.init({"params": KEY}, Z)
    apply = lambda z: quantizer.apply(
        variables, z, shown, True, mutable=["codebook", "sums"], rngs={"collections": KEY}
    )[1]
    one, other = apply(Z), apply(changed)
    jax.tree.map(np.testing.assert_array_equal, one, other)
    assert one["sums"]["uses"].sum() == 30


def test_as_many_codes_as_distinct_vectors_leave_no_error():
    distinct = Z[:5]
    z = np.repeat(distinct, 4, axis=0)
    quantizer = vq.Quantizer(3, codes=5, start="kmeans")
    variables = quantizer.init({"params": KEY}, z)
    book = {**variables["codebook"], "entries": distinct}
    found = quantizer.apply({**variables, "codebook": book}, z)
    np.testing.assert_allclose(found.values, z, atol=1e-6)
    assert found.penalties["commitment"].max() < 1e-10


def test_k_means_starts_the_codebook_better_than_draws():
    found = {}
    for start in ("kmeans", "batch"):
        quantizer = vq.Quantizer(3, codes=8, start=start)
        found[start] = quantizer.apply(quantizer.init({"params": KEY}, Z), Z).penalties["commitment"].mean()
    assert found["kmeans"] < found["batch"]


def test_dead_entries_become_vectors_of_the_batch():
    quantizer = vq.Quantizer(3, codes=4, start="uniform", start_range=1e-3, dead_below=0.5, smoothing=0.0)
    far = Z + 50  # all are nearest to one entry
    _, after = after_one_batch(quantizer, far, decay=0.2)
    distances = np.linalg.norm(np.asarray(after["codebook"]["entries"])[:, None] - far[None], axis=2).min(axis=1)
    assert (distances < 1e-3).sum() == 3
    assert after["codebook"]["counts"].min() >= 0.5


@pytest.mark.parametrize("update", ["average", "loss"])
def test_only_the_loss_moves_entries_by_gradient(update):
    quantizer = vq.Quantizer(3, codes=4, update=update, start="batch")
    variables = quantizer.init({"params": KEY}, Z)

    def total(params):
        return sum(each.sum() for each in quantizer.apply({**variables, "params": params}, Z).penalties.values())

    gradient = jax.grad(total)(variables.get("params", {}))
    if update == "average":
        assert gradient == {}
        return
    entries = np.asarray(variables["params"]["entries"])
    nearest = np.square(Z[:, None] - entries[None]).sum(axis=2).argmin(axis=1)
    expected = [2 * (entries[k] - Z[nearest == k]).sum(axis=0) for k in range(4)]
    np.testing.assert_allclose(gradient["entries"], expected, atol=1e-4)


def test_cosine_codes_are_chosen_by_their_angle():
    quantizer = vq.Quantizer(3, codes=6, start="batch", cosine=True)
    variables = quantizer.init({"params": KEY}, Z)
    found = quantizer.apply(variables, Z)
    entries = np.asarray(variables["codebook"]["entries"])
    np.testing.assert_array_equal(found.indices, (Z @ entries.T / np.linalg.norm(entries, axis=1)).argmax(axis=1))
    np.testing.assert_allclose(np.linalg.norm(found.values, axis=1), 1, rtol=1e-5)


def test_no_array_holds_all_distances_by_dimension():
    quantizer = vq.Quantizer(3, codes=7)
    traced = jax.make_jaxpr(lambda z: quantizer.init_with_output({"params": KEY}, z)[0])(Z)
    assert "[60,7,3]" not in str(traced).replace(" ", "") and "60,7" in str(traced)


# --- finite scalar quantization ---------------------------------------------------------------------------------------

VALUES = {3: [-1, 0, 1], 4: [-1, -0.5, 0, 0.5], 5: [-1, -0.5, 0, 0.5, 1], 8: np.arange(-4, 4) / 4}


@pytest.mark.parametrize("levels", VALUES)
def test_fsq_has_the_values_of_the_paper_and_its_entropies(levels):
    quantizer = fsq.Quantizer(1, levels=(levels,))
    z = np.float32(np.linspace(-9, 9, 4001))[:, None]
    found = quantizer.apply({}, z)
    np.testing.assert_allclose(np.unique(found.values), VALUES[levels])
    assert quantizer.apply({}, np.zeros((1, 1), np.float32)).values == 0
    entropies = {3: 0.9859, 5: 0.9925, 8: 0.9887}  # of N(0, 1), in units of log2 L
    if levels in entropies:
        draws = np.random.default_rng(1).normal(size=(200_000, 1)).astype(np.float32)
        shares = np.bincount(quantizer.apply({}, draws).indices) / len(draws)
        assert -(shares * np.log2(shares)).sum() / math.log2(levels) == pytest.approx(entropies[levels], abs=1e-3)


def test_fsq_codes_and_indices_are_in_bijection():
    quantizer = fsq.Quantizer(3, levels=(4, 3, 5))
    grid = np.linspace(-9, 9, 40, dtype=np.float32)
    found = quantizer.apply({}, np.stack(np.meshgrid(grid, grid, grid), axis=-1).reshape(-1, 3))
    np.testing.assert_array_equal(np.unique(found.indices), np.arange(60))
    assert len(np.unique(found.values, axis=0)) == 60
    np.testing.assert_allclose(quantizer.apply({}, found.indices, method="embed"), found.values, atol=1e-6)


@pytest.mark.parametrize("levels, remedy", [((2, 5), "lfq"), ((1000,) * 4, "2\\^31")])
def test_fsq_refuses_levels_that_it_cannot_have(levels, remedy):
    with pytest.raises(UserError, match=f"model.levels.*\n?.*{remedy}"):
        fsq.Quantizer(4, levels=levels).init(KEY, Z)


# --- lookup-free quantization -----------------------------------------------------------------------------------------

POINT = np.float32([[0.5, -1, 0.2, 0.8], [-0.3, 0.4, 1, -0.6], [0.9, 0.1, -0.7, 0.3]])


def test_lfq_has_the_entropies_of_all_entries():
    found = lfq.Quantizer(4, bits=4).apply({}, POINT)
    np.testing.assert_array_equal(found.indices, [13, 6, 11])
    assert found.penalties["entropy"].mean() == pytest.approx(1.388981, abs=1e-5)
    np.testing.assert_allclose(found.penalties["diversity"], -2.219154, atol=1e-5)
    # Groups of one bit are as if the mean distribution factorised.
    by_bits = lfq.Quantizer(4, bits=4, group=1).apply({}, POINT)
    np.testing.assert_allclose(by_bits.penalties["diversity"], -2.660115, atol=1e-5)


def test_lfq_codes_and_indices_are_in_bijection():
    entries = lfq.Quantizer(3, bits=3).apply({}, np.arange(8), method="embed")
    assert len(np.unique(entries, axis=0)) == 8
    np.testing.assert_array_equal(lfq.Quantizer(3, bits=3).apply({}, entries).indices, np.arange(8))


# --- residual vector quantization -------------------------------------------------------------------------------------


def test_one_level_is_plain_vector_quantization_bit_for_bit():
    plain, one = vq.Quantizer(3, codes=5), residual_vq.Quantizer(3, codes=5, depth=1)
    variables = plain.init({"params": KEY}, Z)
    nested = {collection: {"levels_0": values} for collection, values in variables.items()}
    expected, found = plain.apply(variables, Z), one.apply(nested, Z)
    np.testing.assert_array_equal(found.values, expected.values)
    np.testing.assert_array_equal(found.indices[:, 0], expected.indices)


def test_each_level_lowers_the_error_and_learns_from_its_own_residual():
    quantizer = residual_vq.Quantizer(3, codes=5, depth=3, start="batch", smoothing=0.0)
    before, after = after_one_batch(quantizer, Z, decay=0.0)
    # With zero among the entries of each level, no vector can become worse.
    book = {}
    for name, level in before["codebook"].items():
        entries = np.array(level["entries"])
        entries[0] = 0
        book[name] = {**level, "entries": entries}
    found = quantizer.apply({**before, "codebook": book}, Z)
    indices = np.stack([np.where(np.arange(3) < n, found.indices, -1) for n in range(4)])
    sums = quantizer.apply({**before, "codebook": book}, indices, method="embed")
    errors = np.square(sums - Z[None]).sum(axis=2)
    assert (np.diff(errors, axis=0) <= 1e-5).all() and (errors[3] < errors[0]).any()
    # The second level's entries are means of what the first level left over.
    first = np.asarray(before["codebook"]["levels_0"]["entries"])
    left = Z - first[np.square(Z[:, None] - first[None]).sum(axis=2).argmin(axis=1)]
    start = np.asarray(before["codebook"]["levels_1"]["entries"])
    expected = KMeans(5, init=start, n_init=1, max_iter=1, algorithm="lloyd").fit(left)
    np.testing.assert_allclose(after["codebook"]["levels_1"]["entries"], expected.cluster_centers_, atol=1e-5)


def test_dropped_levels_are_those_after_the_first_n_of_an_example():
    quantizer = residual_vq.Quantizer(3, codes=5, depth=3, level_dropout=True)
    z = np.repeat(Z[:1], 60, axis=0)
    variables = quantizer.init({"params": KEY}, Z)
    apply = functools.partial(quantizer.apply, mutable=["codebook", "sums"], rngs={"collections": KEY})
    found, new = apply(variables, z, None, True, {}, 2)
    pairs = np.asarray(found.values).reshape(30, 2, 3)
    np.testing.assert_array_equal(pairs[:, 0], pairs[:, 1])  # both places of an example use the same levels
    assert 1 < len(np.unique(np.round(pairs[:, 0], 5), axis=0)) <= 3
    uses = [new["sums"][f"levels_{n}"]["uses"].sum() for n in range(3)]
    assert 60 == uses[0] > uses[1] > uses[2] > 0


# --- the family -------------------------------------------------------------------------------------------------------

SPEC = DataSpec((8, 8, 1), classes=10, levels=17)


def family(quantizer, **options):
    return vq_vae.Model(SPEC, mlp.Encoder((8,)), mlp.Decoder((8,)), quantizer=quantizer, latent_dim=3, **options)


@pytest.mark.parametrize(
    "part, keys",
    [
        (vq, {"codes": 5}),
        (vq, {"codes": 5, "update": "loss"}),
        (fsq, {"levels": (3, 4)}),
        (lfq, {"bits": 4}),
        (residual_vq, {"codes": 5, "depth": 2}),
    ],
)
def test_codes_are_decoded_from_their_indices_alone(part, keys):
    model = family(lambda latent_dim, **more: part.Quantizer(latent_dim, **keys, **more), slots=4)
    batch = next(iter(Batches({"x": DRAW.integers(0, 17, (6, 8, 8, 1))}, SPEC, 6)))
    variables = model.init({"params": KEY}, batch)
    (latent,) = model.apply(variables, batch, method="encode")
    assert latent.indices.shape == (1, 6, *model.code_spec.shape) and model.code_spec.shape[0] == 4
    assert latent.indices.max() < model.code_spec.levels
    again = model.apply(variables, latent.indices, method="embed")
    np.testing.assert_allclose(again, latent.sample, atol=1e-5)


def test_a_codebook_larger_than_the_data_is_refused():
    config = configuration.load("configs/vq_vae.py:digits")
    configuration.override(config, "model.codes", "600")
    with pytest.raises(UserError, match="model.codes=600.*512.*\n.*train.batch_size"):
        experiment.build(config).check()


# --- in training ------------------------------------------------------------------------------------------------------


def small(steps, **keys):
    """A config of a residual quantizer, whose levels begin with k-means and replace dead entries."""
    config = configuration.load("configs/vq_vae.py:smoke,quantizer=residual_vq")
    keys = {"model.codes": 8, "model.level_dropout": True, "model.dead_below": 0.5, "train.steps": steps, **keys}
    for key, value in keys.items():
        configuration.override(config, key, str(value))
    return config


def train(config, workdir):
    runner.train_run(config, str(workdir), say=lambda *_, **__: None)
    return analysis.load(str(workdir)).variables


@pytest.mark.long
def test_a_codebook_is_the_same_bytes_whether_or_not_training_was_interrupted(tmp_path):
    expected = train(small(4), tmp_path / "whole")
    train(small(2), tmp_path / "parts")
    found = train(small(4), tmp_path / "parts")
    jax.tree.map(np.testing.assert_array_equal, found, expected)


def test_a_sweep_traces_the_decay_of_the_average():
    built = [experiment.build(small(2, **{"model.decay": decay})) for decay in (0.5, "linear:0.5:0.9:10")]
    assert all("decay" in each.hparams["model"] for each in built)
    assert len({str(each.model) for each in built}) == 1


@pytest.mark.long
def test_a_codebook_is_the_same_on_one_device_and_on_eight(tmp_path):
    found = []
    for devices in (1, 8):
        environment = {**os.environ, "PYTHONPATH": str(configuration.ROOT)}
        environment["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={devices}"
        words = ["train", "--config=vq_vae:smoke,quantizer=residual_vq", f"--workdir={tmp_path / str(devices)}"]
        words += ["--config.model.codes=8", "--config.model.level_dropout=True", "--config.train.steps=4"]
        subprocess.run([sys.executable, "-m", "ae_jax", *words], env=environment, check=True, capture_output=True)
        found.append(analysis.load(str(tmp_path / str(devices))).variables["codebook"])
    close = functools.partial(np.testing.assert_allclose, rtol=1e-3, atol=1e-4)
    jax.tree.map(close, *found)
