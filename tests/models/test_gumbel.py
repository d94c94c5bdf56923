"""Discrete latents of a VAE: closed forms, relaxation in training, and the discrete model everywhere else."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ae_jax.core import discrete
from ae_jax.core.errors import UserError
from ae_jax.core.types import DataSpec
from ae_jax.data.batching import Batches
from ae_jax.evaluation.data import EvalData
from ae_jax.evaluation.metrics import elbo, nll
from ae_jax.models import hierarchical, vae
from ae_jax.models.nets import mlp
from ae_jax.models.posteriors import gumbel_softmax
from ae_jax.models.priors import standard_normal, uniform

KEY = jax.random.key(0)
EVERY = np.uint8(list(itertools.product(range(2), repeat=3)))
SPEC = DataSpec((3,), levels=2)


def made(kind=vae.Model, prior=uniform.Prior, **options):
    """A model of three bits with two choices among three classes, and its variables."""
    model = kind(
        SPEC,
        mlp.Encoder((5,)),
        mlp.Decoder((5,)),
        posterior=lambda latent_dim: gumbel_softmax.Posterior(latent_dim, classes=3, **options),
        prior=(lambda latent_dim: prior(latent_dim, classes=3)) if prior is uniform.Prior else prior,
        latent_dim=2,
    )
    batch = {"x": EVERY.astype(np.float32), "inputs": EVERY.astype(np.float32), "mask": np.ones(8, np.float32)}
    return model, jax.jit(model.init)({"params": KEY}, batch), batch


def test_the_concrete_density_is_that_of_the_paper():
    log_y = np.log(np.float32([0.2, 0.5, 0.3]))
    found = discrete.relaxed_log_prob(log_y, np.log(np.float32([1, 2, 0.5])), 0.5) - log_y.sum()
    assert found == pytest.approx(-0.797250, abs=1e-5)


def test_cold_relaxed_samples_choose_classes_with_their_probabilities():
    a = np.float32([1, 2, 0.5])
    log_y = discrete.relaxed_log_sample(KEY, jnp.log(a), 0.01, 20_000)
    assert np.isfinite(log_y).all()
    shares = np.bincount(log_y.argmax(axis=-1)) / 20_000
    np.testing.assert_allclose(shares, a / a.sum(), atol=4 * 0.5 / math.sqrt(20_000))
    assert np.exp(log_y).max(axis=-1).mean() > 0.98


def test_one_hot_vectors_have_the_probabilities_and_the_divergence_of_their_classes():
    logits = np.random.default_rng(0).normal(size=(2, 2, 3)).astype(np.float32)
    q, p = discrete.OneHot(jnp.asarray(logits)), discrete.OneHot(jnp.zeros((2, 3)))
    every = np.float32([np.concatenate([np.eye(3)[a], np.eye(3)[b]]) for a in range(3) for b in range(3)])
    log_q = np.stack([q.log_prob(jnp.asarray(each)) for each in every])
    np.testing.assert_allclose(np.exp(log_q).sum(axis=0), 1, rtol=1e-5)
    expected = (np.exp(log_q) * (log_q + 2 * math.log(3))).sum(axis=0)
    np.testing.assert_allclose(discrete.kl(q, p).sum(axis=1), expected, rtol=1e-4)


@pytest.mark.parametrize("options", [{}, {"straight_through": True}, {"divergence": "relaxed"}])
def test_training_relaxes_samples_and_evaluation_does_not(options):
    model, variables, batch = made(**options)

    @jax.jit
    def latent(temperature):
        hparams = {"temperature": temperature}
        return model.apply(variables, batch, train=True, hparams=hparams, rngs={"latent": KEY}).latents[0]

    exact = model.apply(variables, batch, rngs={"latent": KEY}).latents[0].sample
    assert set(np.unique(exact)) == {0, 1}
    warm, cold = latent(2.0).sample, latent(0.01).sample
    np.testing.assert_allclose(warm.reshape(-1, 3).sum(axis=1), 1, atol=1e-5)
    one_hot = options.get("straight_through", False)
    assert (warm.max() < 0.999) != one_hot and cold.max() > 0.99
    assert (latent(2.0).posterior is None) == (options.get("divergence") == "relaxed")


def test_what_is_reported_is_of_the_discrete_model():
    model, variables, batch = made()
    codes = np.float32([np.concatenate([np.eye(3)[a], np.eye(3)[b]]) for a in range(3) for b in range(3)])[:, None]
    likelihood = model.apply(variables, (jnp.asarray(np.broadcast_to(codes, (9, 8, 6))),), batch, method="decode")
    log_p = likelihood.log_prob(batch["x"][None])
    exact = -np.log(np.exp(log_p).mean(axis=0)).mean()
    data = EvalData.of(test=Batches({"x": EVERY}, SPEC, 8))
    found = nll.evaluate(model, variables, data, KEY, samples=3000)["nll"]
    assert found == pytest.approx(float(exact), abs=0.02)
    assert elbo.evaluate(model, variables, data, KEY)["elbo"] < -exact + 0.1


def test_discrete_posteriors_and_priors_go_together():
    with pytest.raises(UserError, match="model.prior.*\n.*uniform"):
        made(prior=standard_normal.Prior)
    with pytest.raises(UserError, match="model.name=vae"):
        made(kind=hierarchical.Model)
