"""FactorVAE: what its critic estimates, and which examples count."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import PolynomialFeatures

from ae_jax.core.types import DataSpec
from ae_jax.models import factor


def test_the_best_critic_estimates_the_total_correlation():
    # Two normal variables of correlation 0.8 have a total correlation of -log(1 - 0.64) / 2 nats, and the best
    # log-odds against the product of their marginals are quadratic.
    key, key_order = jax.random.split(jax.random.key(0))
    mixing = jnp.linalg.cholesky(jnp.array([[1.0, 0.8], [0.8, 1.0]]))
    z = np.asarray(jax.random.normal(key, (160_000, 2)) @ mixing.T)
    joint, product = z[:80_000], np.asarray(factor.permute_dimensions(key_order, z[80_000:]))
    np.testing.assert_array_equal(np.sort(product, axis=0), np.sort(z[80_000:], axis=0))
    assert abs(np.corrcoef(product.T)[0, 1]) < 0.03
    features = PolynomialFeatures(2).fit_transform(np.concatenate([joint, product]))
    critic = LogisticRegression(C=1e6, max_iter=1000).fit(features, np.repeat([1, 0], 80_000))
    assert critic.decision_function(features[:80_000]).mean() == pytest.approx(0.510826, abs=0.02)


def test_each_half_has_its_own_mean_and_padding_counts_for_nothing():
    model = factor.Model(DataSpec((4,), "pixels"), latent_dim=2, critic_hidden=(3,))
    x = jax.random.uniform(jax.random.key(1), (7, 4))
    batch = {"x": x, "inputs": x, "mask": jnp.array([1.0, 1, 1, 1, 1, 1, 0])}
    keys = {name: jax.random.key(2) for name in ("params", "latent", "sampling")}
    variables = model.init(keys, batch)
    assert not model.apply(variables, batch, rngs=keys).penalties
    outputs = model.apply(variables, batch, train=True, rngs=keys)
    odds = factor.Critic((3,)).apply({"params": variables["params"]["critic"]}, outputs.latents[0].sample[0])
    mean = (outputs.penalties["total_correlation"] * batch["mask"]).sum() / batch["mask"].sum()
    assert float(mean) == pytest.approx(float(odds[:4].mean()), rel=1e-5)
