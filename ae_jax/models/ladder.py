"""The ladder VAE: several stochastic layers, inferred, as they are generated, from the top downwards.

Sonderby et al. 2016, "Ladder variational autoencoders", arXiv:1602.02282: on the way up, without noise, each layer's
codes are estimated; on the way down the estimate meets what the layer above says, each weighed by its precision.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from ae_jax.core.distributions import Normal
from ae_jax.core.errors import UserError
from ae_jax.core.types import Batch, Latent, Outputs
from ae_jax.models import hierarchical


class Model(hierarchical.Model):
    """As `hierarchical.Model`, the posterior of each layer but the top given the codes above it.

    norm: "batch", "layer" or "none": how the layers between one stochastic layer and the next are normalised.
    """

    norm: str = "batch"

    def link(self, size: int) -> hierarchical.Link:
        return super().link(size).clone(norm=self.norm)

    def encode(self, batch: Batch, num_samples: int = 1) -> tuple[Latent, ...]:
        """As `vae.Model.encode`, the top first. Priors [S, B] are known before their layer is drawn, so that the KL of
        each layer has a closed form given the layer above.
        """
        return self._descend(batch, lambda q: q.sample(self.make_rng("latent"), num_samples if q.loc.ndim == 2 else 1))

    def _descend(self, batch: Batch, draw: Callable) -> tuple[Latent, ...]:
        """The layers, the top first; draw: posterior -> samples with a leading axis."""
        estimates, latents = self._estimates(batch), []
        top = estimates.pop()
        z = draw(top)
        latents.append(_layer(z, top, self.prior_of(batch), jax.lax.stop_gradient(top)))
        for link, estimate in zip(self.p_down[::-1], estimates[::-1], strict=True):
            prior = link(z, batch.get("mask"))
            posterior = product(estimate, prior)
            z = draw(posterior)[0]
            # The encoder's share of the posterior is stopped. The rest is the prior's, and reads the layer above.
            latents.append(_layer(z, posterior, prior, product(jax.lax.stop_gradient(estimate), prior)))
        return tuple(latents)

    def _estimates(self, batch: Batch) -> list[Normal]:
        """What is said of each layer's codes on the way up: Normals, batch shape [B]."""
        h = self.features(batch)
        estimates = [self.q_z(h)]
        if not isinstance(estimates[0], Normal):
            raise UserError("a ladder weighs normal posteriors\ntry model.posterior=diagonal_normal")
        for link in self.q_up:
            h, estimate = link.read(h, batch.get("mask"))
            estimates.append(estimate)
        return estimates

    def __call__(self, batch: Batch, *, num_samples: int = 1, train: bool = False, hparams=None) -> Outputs:
        outputs = super().__call__(batch, num_samples=num_samples, train=train, hparams=hparams)
        # Apart, so that running statistics are read, and not written again.
        apart, variables = self.unbind()
        return outputs.replace(code=apart.apply(variables, batch, method="_mean_code"))

    def _mean_code(self, batch: Batch):
        """[B, D]: the posterior mean of the layer next to the data, given the posterior means above it."""
        lowest = self._descend(batch, lambda posterior: posterior.mean[None])[-1]
        assert lowest.posterior is not None
        return lowest.posterior.mean[0]


def product(one: Normal, other: Normal) -> Normal:
    """The normal distribution proportional to both densities: `one` [B], `other` [S, B]; precisions add up."""
    loc, log_scale = one.loc[None], one.log_scale[None]
    joint = -0.5 * jnp.logaddexp(-2 * log_scale, -2 * other.log_scale)
    share = jnp.exp(2 * (joint - log_scale))
    return Normal(share * loc + (1 - share) * other.loc, joint)


def _layer(z, posterior, prior, path) -> Latent:
    return Latent(z, posterior, prior, posterior.log_prob(z), prior.log_prob(z), path.log_prob(z))
