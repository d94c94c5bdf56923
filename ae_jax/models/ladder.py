"""The ladder VAE: several stochastic layers, both inferred and generated top-down.

Sonderby et al. 2016, "Ladder variational autoencoders", arXiv:1602.02282. A deterministic bottom-up pass estimates each
layer's latents. A stochastic top-down pass then combines each estimate with the layer's prior given the layer above,
weighted by their precisions.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from ae_jax.core.distributions import Normal
from ae_jax.core.errors import UserError
from ae_jax.core.types import Batch, Latent, Outputs
from ae_jax.models import hierarchical


class Model(hierarchical.Model):
    """Change `hierarchical.Model`: the posterior of a layer depends on the layers above it.

    Args:
      norm: "batch", "layer" or "none": the normalisation in the dense layers between two stochastic layers.
    """

    norm: str = "batch"

    def link(self, size: int) -> hierarchical.Link:
        """Make a link to a layer of this size."""
        return super().link(size).clone(norm=self.norm)

    def encode(self, batch: Batch, num_samples: int = 1) -> tuple[Latent, ...]:
        """Return one `Latent` for each layer, top level first.

        The prior of a layer is known before its latents are drawn, so that the KL divergence of each layer has a closed
        form given the layer above.

        Args:
          batch: "inputs" [B, *shape] and "mask" [B] are read.
          num_samples: S, the number of samples for each example.
        """

        def draw(posterior):
            # The top posterior [B, D] gets S samples. All others [S, B, D] have the axis S from the layer above.
            count = num_samples if posterior.loc.ndim == 2 else 1
            return posterior.sample(self.make_rng("latent"), count)

        return self._descend(batch, draw)

    def _descend(self, batch: Batch, draw: Callable) -> tuple[Latent, ...]:
        """Return the layers, top level first; `draw` maps a posterior to samples [n, ...]."""
        estimates, latents = self._estimates(batch), []
        top = estimates.pop()
        z = draw(top)
        latents.append(_layer(z, top, self.prior_of(batch), jax.lax.stop_gradient(top)))
        for link, estimate in zip(self.p_down[::-1], estimates[::-1], strict=True):
            prior = link(z, batch.get("mask"))
            posterior = product(estimate, prior)
            z = draw(posterior)[0]
            # For the path derivative, gradients stop at the encoder's part of the posterior. The other part belongs to
            # the prior, and depends on the sample above.
            path = product(jax.lax.stop_gradient(estimate), prior)
            latents.append(_layer(z, posterior, prior, path))
        return tuple(latents)

    def _estimates(self, batch: Batch) -> list[Normal]:
        """Return the bottom-up estimates, Normals of batch shape [B], lowest layer first."""
        h = self.features(batch)
        estimates = [self.q_z(h)]
        if not isinstance(estimates[0], Normal):
            raise UserError("a ladder VAE combines normal distributions only\nuse model.posterior=diagonal_normal")
        for link in self.q_up:
            h, estimate = link.read(h, batch.get("mask"))
            estimates.append(estimate)
        return estimates

    def __call__(self, batch: Batch, *, num_samples: int = 1, train: bool = False, hparams=None) -> Outputs:
        """Encode batch["inputs"] and explain batch["x"]; `code` is computed without noise."""
        outputs = super().__call__(batch, num_samples=num_samples, train=train, hparams=hparams)
        # This second pass must not update the running averages of batch normalisation again. No collection of the
        # unbound module is mutable.
        unbound, variables = self.unbind()
        return outputs.replace(code=unbound.apply(variables, batch, method="_mean_code"))

    def _mean_code(self, batch: Batch):
        """Return the posterior mean [B, D] of the lowest layer, given the posterior means above it."""
        lowest = self._descend(batch, lambda posterior: posterior.mean[None])[-1]
        assert lowest.posterior is not None
        return lowest.posterior.mean[0]


def product(one: Normal, other: Normal) -> Normal:
    """Return the Normal that is proportional to the product of two normal densities.

    Its precision is the sum of both precisions.

    Args:
      one: a Normal of batch shape [B].
      other: a Normal of batch shape [S, B].
    """
    loc, log_scale = one.loc[None], one.log_scale[None]
    # The sum of the precisions is taken in logarithms, so that very small scales do not overflow.
    joint_log_scale = -0.5 * jnp.logaddexp(-2 * log_scale, -2 * other.log_scale)
    share = jnp.exp(2 * (joint_log_scale - log_scale))  # the share of `one` in the joint precision
    return Normal(share * loc + (1 - share) * other.loc, joint_log_scale)


def _layer(z, posterior, prior, path) -> Latent:
    """Make the `Latent` of samples z; `path` is the posterior with stopped gradients."""
    return Latent(z, posterior, prior, posterior.log_prob(z), prior.log_prob(z), path.log_prob(z))
