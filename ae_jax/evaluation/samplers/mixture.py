"""A mixture of normal distributions with full covariances.

Expectation maximisation fits it to the latents. Ghosh et al. 2020, "From variational to deterministic autoencoders",
arXiv:1903.12436, section 4: ten components turn a plain autoencoder into a generative model.
"""

import jax
import jax.numpy as jnp
import numpy as np

from ae_jax.core.errors import UserError


def fit(codes, key, *, components: int = 10):
    """Fit a mixture of normal distributions to latents.

    Args:
      codes: latents [N, D].
      key: random key, which chooses where the fit starts.
      components: how many normal distributions are mixed.

    Returns:
      The function sample(key, n), which draws latents [n, D].

    Raises:
      UserError: for fewer latents than components.
    """
    from sklearn.mixture import GaussianMixture

    if len(codes) < components:
        raise UserError(f"a mixture of {components} components cannot be fitted to {len(codes)} codes\ntry --limit")
    seed = int(jax.random.randint(key, (), 0, 2**31 - 1))
    fitted = GaussianMixture(components, random_state=seed, reg_covar=1e-6).fit(np.asarray(codes, np.float64))
    means = jnp.asarray(fitted.means_, jnp.float32)
    factors = jnp.asarray(np.linalg.cholesky(fitted.covariances_), jnp.float32)

    def sample(key, n):
        key_component, key_noise = jax.random.split(key)
        component = jax.random.categorical(key_component, jnp.log(fitted.weights_), shape=(n,))
        noise = jax.random.normal(key_noise, (n, means.shape[1]))
        return means[component] + jnp.einsum("nij,nj->ni", factors[component], noise)

    return sample
