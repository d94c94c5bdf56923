"""The library object: its methods return what the functional pieces return, and it can be saved and pickled."""

import pickle

import flax.linen as nn
import jax
import numpy as np
import pytest
import sklearn.datasets

import ae_jax
from ae_jax.core.errors import UserError

DIGITS = sklearn.datasets.load_digits()
X = (DIGITS.images[:200] * 15).astype(np.uint8)
Y = DIGITS.target[:200]


class Doubled(nn.Module):
    """An encoder of a user's own: twice the pixels."""

    @nn.compact
    def __call__(self, x):
        """Return features [N, H W C] of images [N, H, W, C]."""
        return 2 * x.reshape(len(x), -1)


def fit(**options):
    return ae_jax.fit(X, Y, steps=3, latent_dim=2, **options)


@pytest.fixture(scope="module")
def vae():
    return fit(model="vae", hidden=(8,))


def test_methods_return_what_the_model_computes(vae):
    model, variables, config = vae
    x = X[..., None] / np.float32(255)
    batch = {"x": x, "inputs": x, "mask": np.ones(len(x))}
    posterior = model.apply(variables, batch, rngs={"latent": jax.random.key(0)}).latents[0].posterior
    mean, scale = vae.encode(X, batch_size=64)
    np.testing.assert_allclose(mean, posterior.loc, atol=1e-5)
    np.testing.assert_allclose(scale, np.exp(posterior.log_scale), atol=1e-5)
    expected = model.apply(variables, (mean[None],), {"mask": batch["mask"]}, method="decode").mean[0]
    np.testing.assert_allclose(vae.decode(mean), expected, atol=1e-5)
    np.testing.assert_allclose(vae.reconstruct(X), expected, atol=1e-5)
    assert vae.sample(3).shape == (3, 8, 8, 1) and vae.interpolate(mean[0], mean[1], steps=4).shape == (4, 8, 8, 1)
    assert config.model.latent_dim == 2


def test_given_examples_are_evaluated(vae):
    x = X[:10]
    plain = fit(model="ae", hidden=(8,))
    error = np.square(plain.reconstruct(x) - x[..., None] / 255).mean()
    assert plain.evaluate(["mse"], x)["mse_per_pixel"] == pytest.approx(error, rel=1e-5)
    held_out = vae.trained.splits["test"]["x"]
    assert len(held_out) == 20 and vae.evaluate(["mse"], held_out) == vae.evaluate(["mse"])


def test_a_figure_is_drawn(vae):
    assert vae.figure("manifold", size=3).axes


def test_saved_and_pickled_runs_are_the_same(vae, tmp_path):
    vae.save(tmp_path / "kept")
    scores = vae.evaluate(["elbo"])
    for other in (ae_jax.load(tmp_path / "kept"), pickle.loads(pickle.dumps(vae))):
        np.testing.assert_array_equal(other.encode(X).mean, vae.encode(X).mean)
        assert other.evaluate(["elbo"]) == scores
    with pytest.raises(UserError, match="kept"):
        vae.save(tmp_path / "kept")


def test_an_own_encoder_is_taken_and_a_deterministic_latent_has_no_scale(capsys):
    own = fit(model="ae", encoder=Doubled, verbose=True)
    assert "done" not in capsys.readouterr().err
    assert set(own.variables["params"]) == {"decoder", "z"} and own.encode(X).scale is None
    # It has no parameters, and as many features as an image has pixels.
    assert own.variables["params"]["z"]["kernel"].shape == (64, 2)


def test_mistakes_are_named_before_training():
    with pytest.raises(UserError, match="model.latent_dims"):
        ae_jax.fit(X, latent_dims=3)
    with pytest.raises(UserError, match="epochs"):
        ae_jax.fit(X, steps=1, epochs=1)

    class Inside(nn.Module):
        pass

    with pytest.raises(UserError, match="Inside"):
        ae_jax.fit(X, encoder=Inside)
