"""Figures of discrete latents: the use of the codebook, codes as images, and samples beside training examples."""

from types import SimpleNamespace

import jax
import numpy as np
import pytest

from ae_jax.core import lookup
from ae_jax.core.types import DataSpec
from ae_jax.data.batching import Batches
from ae_jax.evaluation.data import EvalData
from ae_jax.models import pixelcnn, vq_vae
from ae_jax.models.nets import conv
from ae_jax.models.quantizers import fsq
from ae_jax.plots.figures import code_grids, codebook_usage, interpolations, nearest_examples
from ae_jax.sweeps.figures import rate_distortion

KEY = jax.random.key(0)
X = np.random.default_rng(0).integers(0, 2, (6, 8, 8, 1)).astype(np.uint8)


@pytest.fixture(scope="module")
def trained():
    """A quantized autoencoder with a grid of 4x4 codes, at its initial parameters."""
    model = vq_vae.Model(
        DataSpec((8, 8, 1), levels=2),
        conv.Encoder((4,), spatial=True),
        conv.Decoder((4,), spatial=True),
        quantizer=lambda latent_dim, **more: fsq.Quantizer(latent_dim, levels=(3, 3), **more),
        latent_dim=2,
        spatial=True,
    )
    batches = Batches({"x": X}, model.spec, 3)
    data = EvalData.of(test=batches, corpus=batches)
    return model, jax.jit(model.init)({"params": KEY}, next(iter(batches))), data


def drawn(module, found):
    figure = lookup.find("figures", module.__name__.rpartition(".")[2], "figure")(found)
    figure.draw_without_rendering()
    return figure


def test_the_use_of_a_codebook_adds_up_to_one(trained):
    found = codebook_usage.arrays(*trained, KEY)
    assert found["share"].shape == (1, 9) and found["share"].sum() == pytest.approx(1)
    line = drawn(codebook_usage, found).axes[0].lines[0]
    assert (np.diff(line.get_ydata()) <= 0).all()


def test_codes_are_drawn_at_their_places(trained):
    found = code_grids.arrays(*trained, KEY, count=2)
    assert found["indices"].shape == (2, 4, 4) and found["reconstruction"].shape == (2, 8, 8, 1)
    cells = drawn(code_grids, found).axes[0].images
    places = np.asarray(cells[2].get_array())[..., 0]  # of the second row, the first
    np.testing.assert_allclose(places[::2, ::2], found["indices"][0] / 8, atol=0.01)


def test_a_path_outside_the_codebook_says_so(trained):
    found = interpolations.arrays(*trained, KEY, count=1, steps=3)
    texts = [
        text.get_text()
        for text in drawn(interpolations, found).findobj(match=lambda artist: hasattr(artist, "get_text"))
    ]
    assert any("outside the codebook" in text for text in texts)


def test_the_nearest_example_of_a_copy_is_the_example_itself(trained, monkeypatch):
    _, _, data = trained
    model = pixelcnn.Model(DataSpec((8, 8, 1), levels=2), width=4, layers=1)
    variables = {}
    copies = X[[4, 1]].astype(np.float32)
    copies[0, 0, 0] = 1 - copies[0, 0, 0]
    monkeypatch.setattr(nearest_examples.queries, "generate", lambda *_: copies)
    found = nearest_examples.arrays(model, variables, data, KEY, count=2)
    np.testing.assert_array_equal(found["nearest"], X[[4, 1]])
    np.testing.assert_allclose(found["distance"], [1 / 8, 0], atol=1e-6)
    drawn(nearest_examples, found)


def test_a_sweep_over_codebooks_has_a_rate_and_a_distortion():
    scores = {"codebook": {"codebook_entropy_bits": 3.5}, "mse": {"mse_per_pixel": 0.1}}
    runs = [SimpleNamespace(axes={"model.codes": size}, scores=lambda metric: scores[metric]) for size in ("8", "16")]
    survey = SimpleNamespace(runs=runs, axes={"model.codes": ["8", "16"]})
    found = rate_distortion.arrays(survey, KEY, axis="model.codes", of="codebook")
    np.testing.assert_array_equal([found["rate"], found["distortion"]], [[3.5, 3.5], [0.1, 0.1]])
    axes = rate_distortion.figure(found).axes[0]
    assert "bits" in axes.get_xlabel() and "squared error" in axes.get_ylabel()
