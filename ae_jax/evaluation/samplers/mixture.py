"""A mixture of normal distributions with full covariances, fitted to the codes by expectation maximisation.

Ghosh et al. 2020, "From variational to deterministic autoencoders", arXiv:1903.12436, section 4: ten components turn a
plain autoencoder into a generative model.
"""

import jax
import jax.numpy as jnp
import numpy as np

from ae_jax.core.errors import UserError


def fit(codes, key, *, components: int = 10):
    """codes [N, D] -> sample(key, n) -> [n, D]. `key` chooses where the fit starts.

    Raises UserError for fewer codes than components.
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
