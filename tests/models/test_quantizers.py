"""Quantizers against closed forms, scikit-learn and the papers' own numbers."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.cluster import KMeans

from ae_jax.core.errors import UserError
from ae_jax.core.types import DataSpec
from ae_jax.data.batching import Batches
from ae_jax.experiments import configuration, experiment
from ae_jax.models import vq_vae
from ae_jax.models.nets import mlp
from ae_jax.models.quantizers import fsq, gradients, vq

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


# --- the family -------------------------------------------------------------------------------------------------------

SPEC = DataSpec((8, 8, 1), classes=10, levels=17)


def family(quantizer, **options):
    return vq_vae.Model(SPEC, mlp.Encoder((8,)), mlp.Decoder((8,)), quantizer=quantizer, latent_dim=3, **options)


@pytest.mark.parametrize(
    "name, keys", [("vq", {"codes": 5}), ("vq", {"codes": 5, "update": "loss"}), ("fsq", {"levels": (3, 4)})]
)
def test_codes_are_decoded_from_their_indices_alone(name, keys):
    part = {"vq": vq.Quantizer, "fsq": fsq.Quantizer}[name]
    model = family(lambda latent_dim, **more: part(latent_dim, **keys, **more), slots=4)
    batch = next(iter(Batches({"x": DRAW.integers(0, 17, (6, 8, 8, 1))}, SPEC, 6)))
    variables = model.init({"params": KEY}, batch)
    (latent,) = model.apply(variables, batch, method="encode")
    assert latent.indices.shape == (1, 6, 4) and model.code_spec.shape == (4,)
    assert latent.indices.max() < model.code_spec.levels
    again = model.apply(variables, latent.indices, method="embed")
    np.testing.assert_allclose(again, latent.sample, atol=1e-5)


def test_a_codebook_larger_than_the_data_is_refused():
    config = configuration.load("configs/vq_vae.py:digits")
    configuration.override(config, "model.codes", "600")
    with pytest.raises(UserError, match="model.codes=600.*512.*\n.*train.batch_size"):
        experiment.build(config).check()
