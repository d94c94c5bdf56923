"""The KL term of the ELBO in three parts.

One part is the total correlation of the latent dimensions.

Chen et al. 2018, "Isolating sources of disentanglement in VAEs", arXiv:1802.04942.
"""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Float

from ae_jax.core import errors
from ae_jax.core.distributions import Normal
from ae_jax.core.errors import UserError
from ae_jax.core.types import Array, Batch, Latent, Outputs, Terms
from ae_jax.objectives.reconstruction import reconstruction

ESTIMATORS = ("weighted", "stratified", "symmetric", "mss_as_published")


def beta_tc(outputs: Outputs, batch: Batch, *, estimator: str = "stratified") -> Terms:
    """Return the reconstruction and the three parts of KL(q(z|x) || p(z)).

    Equations 2 and 4 of Chen et al.

    "mutual_information" is log q(z|x) - log q(z), "total_correlation" is log q(z) - sum_d log q(z_d), and
    "dimension_wise" is sum_d log q(z_d) - log p(z). Their sum is the Monte Carlo estimate of the KL divergence. The
    aggregate posterior q(z) is estimated from the batch.

    Args:
      outputs: what the model returned for the batch.
      batch: the batch. "num_examples" is the size of the training set, N; "mask" has B ones.
      estimator: the weights of the posteriors of the batch in the estimate of q(z). "weighted": 1 / (N B), which
        offsets the first two parts but not their gradients (minibatch-weighted sampling). "stratified": 1 / N for
        the example's own posterior, (N - B + 1) / (N (B - 1)) for one other and 1 / (B - 1) for the rest.
        "symmetric": 1 / N for its own and (N - 1) / (N (B - 1)) for each other, which is exact for a full batch.
        "mss_as_published": the stratified weights as the authors' program placed them, in the first two columns of
        the matrix and not on its diagonal.

    Raises:
      UserError: for an unknown estimator, or a latent whose posterior is not a normal distribution.
    """
    if estimator not in ESTIMATORS:
        raise errors.unknown("objective.estimator", estimator, ESTIMATORS)
    latent = _only_latent(outputs)
    log_q, log_p, posterior = latent.log_q, latent.log_p, latent.posterior
    assert isinstance(posterior, Normal) and log_q is not None and log_p is not None
    mask = jnp.asarray(batch.get("mask", jnp.ones(len(batch["x"]))))
    log_weights = log_importance_weights(estimator, mask, batch["num_examples"][0])
    joint, factors = log_aggregate(latent.sample, posterior, log_weights)
    return {
        **reconstruction(outputs, batch),
        "mutual_information": (log_q - joint).mean(axis=0),
        "total_correlation": (joint - factors).mean(axis=0),
        "dimension_wise": (factors - log_p).mean(axis=0),
    }


def log_aggregate(
    samples: Float[Array, "S B D"], posterior: Normal, log_weights: Float[Array, "B B"]
) -> tuple[Float[Array, "S B"], Float[Array, "S B"]]:
    """Estimate log densities at the samples.

    They are those of the aggregate posterior, and of the product of its marginals.

    Args:
      samples: samples of the posteriors.
      posterior: the posteriors of the batch, batch shape [B].
      log_weights: the logarithm of the weight of the posterior of example j at the sample of example i.

    Returns:
      log q(z) and sum_d log q(z_d).
    """
    # [S, B, B, D]: the density of every sample under every posterior, in each dimension.
    loc, log_scale = (values[None, None] for values in (posterior.loc, posterior.log_scale))
    standardised = (samples[:, :, None] - loc) * jnp.exp(-log_scale)
    log_q = -0.5 * (jnp.square(standardised) + math.log(2 * math.pi)) - log_scale
    # The joint density sums over dimensions and then averages posteriors. The marginals are averaged one by one.
    joint = jax.nn.logsumexp(log_q.sum(axis=-1) + log_weights[None], axis=2)
    factors = jax.nn.logsumexp(log_q + log_weights[None, ..., None], axis=2).sum(axis=-1)
    return joint, factors


def log_importance_weights(
    estimator: str, mask: Float[Array, " B"], num_examples: Float[Array, ""]
) -> Float[Array, "B B"]:
    """Return the logarithms of the weights by which an estimator averages posteriors.

    Args:
      estimator: a member of `ESTIMATORS`.
      mask: one for the examples of the batch, which come first, and zero for padding.
      num_examples: N, the size of the training set.

    Returns:
      Row i has the weights for the sample of example i; minus infinity for padding.
    """
    size, count = len(mask), mask.sum()
    others = jnp.maximum(count - 1, 1)
    row, column = jnp.arange(size)[:, None], jnp.arange(size)[None]
    own = row == column
    if estimator == "weighted":
        weights = jnp.full((size, size), 1.0) / (num_examples * count)
    elif estimator == "symmetric":
        weights = jnp.where(own, 1 / num_examples, (num_examples - 1) / (num_examples * others))
    else:
        # The example that stands for all that the batch lacks: the next one, and for the last one the first.
        stand_in = column == (row + 1) % count
        if estimator == "mss_as_published":
            last = row == count - 1
            own, stand_in = (column == 0) & ~last, (column == 1) & ~last | (column == 0) & last
        rest = jnp.where(stand_in, (num_examples - others) / (num_examples * others), 1 / others)
        weights = jnp.where(own, 1 / num_examples, rest)
    # With a batch as large as the training set, a weight is zero up to rounding, which may be negative.
    return jnp.where(mask[None] > 0, jnp.log(jnp.maximum(weights, 0)), -jnp.inf)


def _only_latent(outputs: Outputs) -> Latent:
    """Return the single latent of a model.

    Raise UserError unless its posterior is a normal distribution.
    """
    if len(outputs.latents) != 1 or not isinstance(outputs.latents[0].posterior, Normal):
        raise UserError(
            "this objective needs one layer of latents with a normal posterior\nuse model.posterior=diagonal_normal"
        )
    return outputs.latents[0]
