"""The VAE with several stochastic layers, inferred from the data upwards and generated from the top downwards.

Burda et al. 2016, "Importance weighted autoencoders", arXiv:1509.00519, section 5: q(h1|x) q(h2|h1) and
p(h2) p(h1|h2) p(x|h1).
"""

from collections.abc import Sequence

import flax.linen as nn
import jax

from ae_jax.core.errors import UserError
from ae_jax.core.types import Batch, Latent
from ae_jax.models import vae
from ae_jax.models.nets import mlp
from ae_jax.models.posteriors import diagonal_normal


class Link(nn.Module):
    """Codes of one layer [S, B, D] -> Normal over those of the next, batch shape [S, B]; `mask` [B] as in a batch."""

    size: int
    hidden: Sequence[int]
    activation: str
    kernel_init: str
    norm: str = "none"

    def __call__(self, z, mask=None):
        return self.read(z, mask)[1]

    @nn.compact
    def read(self, z, mask=None):
        """(what the last hidden layer made of z, the Normal)."""
        h = mlp.Mlp(self.hidden, self.activation, self.kernel_init, self.norm)(z, mask)
        return h, diagonal_normal.Posterior(self.size, kernel_init=self.kernel_init)(h)


class Model(vae.Model):
    """As `vae.Model`, whose code h1 is the layer next to the data, with layers above it; the prior is that of the top,
    the posterior that of h1: between layers all are diagonal normals.

    upper_dims: the sizes of the layers above h1, upwards.
    upper_hidden: the dense layers between one stochastic layer and the next, either way; activation: what follows them.
    """

    upper_dims: Sequence[int] = (2,)
    upper_hidden: Sequence[int] = (100, 100)
    activation: str = "relu"

    gives_posterior = False
    standard_prior = False  # that of the layer next to the data depends on the layer above

    @property
    def roles(self):
        return {"q_z": "encoder", **{f"q_up_{number}": "encoder" for number in range(len(self.upper_dims))}}

    @property
    def prior_dim(self) -> int:
        return self.upper_dims[-1]

    def setup(self):
        if not self.upper_dims or min(self.upper_dims) < 1:
            raise UserError(
                f"model.upper_dims is {self.upper_dims}\nexpected a size of at least 1 for each upper layer"
            )
        super().setup()
        self.q_up = [self.link(size) for size in self.upper_dims]
        self.p_down = [self.link(size) for size in (self.latent_size, *self.upper_dims[:-1])]

    def link(self, size: int) -> Link:
        return Link(size, self.upper_hidden, self.activation, self.kernel_init)

    def encode(self, batch: Batch, num_samples: int = 1) -> tuple[Latent, ...]:
        """As `vae.Model.encode`, the top first. The priors of all layers but the top are None: they depend on the layer
        above, which is drawn given the layer itself, so that there is no closed form of the KL.
        """
        layers = [self.infer(batch, num_samples)]
        for link in self.q_up:
            below = layers[-1].sample
            posterior = link(below)
            z = posterior.sample(self.make_rng("latent"), 1)[0]
            # The link's parameters are stopped, not what it reads of the layer below.
            frozen, variables = link.unbind()
            log_q_path = frozen.apply(jax.lax.stop_gradient(variables), below).log_prob(z)
            layers.append(Latent(z, posterior, None, posterior.log_prob(z), None, log_q_path))
        densities = self._log_priors([layer.sample for layer in layers], batch)
        layers = [layer.replace(log_p=log_p) for layer, log_p in zip(layers, densities, strict=True)]
        layers[-1] = layers[-1].replace(prior=self.prior_of(batch))
        return tuple(layers[::-1])

    def _log_priors(self, samples, batch):
        """log p of each layer given the one above it, [S, B] each, upwards as `samples` are."""
        given = [link(above).log_prob(z) for link, z, above in zip(self.p_down, samples, samples[1:])]
        return [*given, self.prior_of(batch).log_prob(samples[-1])]

    def prior_codes(self, batch: Batch) -> tuple:
        codes = list(super().prior_codes(batch))
        for link in self.p_down[::-1]:
            codes.append(link(codes[-1]).sample(self.make_rng("latent"), 1)[0])
        return tuple(codes)

    def log_joint(self, samples: tuple, batch: Batch):
        log_p_x = self.decode(samples, batch).log_prob(batch["x"][None])
        return log_p_x + sum(self._log_priors(samples[::-1], batch))
