"""The hierarchical VAE: stochastic layers, inferred bottom-up and generated top-down.

Burda et al. 2016, "Importance weighted autoencoders", arXiv:1509.00519, section 5: q(h1|x) q(h2|h1) and
p(h2) p(h1|h2) p(x|h1).
"""

from collections.abc import Sequence

import flax.linen as nn
import jax

from ae_jax.core.errors import UserError
from ae_jax.core.forms import Sizes
from ae_jax.core.types import Batch, Latent
from ae_jax.models import vae
from ae_jax.models.nets import mlp
from ae_jax.models.posteriors import diagonal_normal


class Link(nn.Module):
    """Map latents of one layer to a Normal over the latents of the layer above or below.

    Args:
      size: the size of the latents that the Normal is over.
      hidden: the widths of the dense layers.
      activation: the activation after each dense layer.
      kernel_init: the initialiser of the dense layers.
      norm: "none", "batch" or "layer": the normalisation in the dense layers.
    """

    size: int
    hidden: Sequence[int]
    activation: str
    kernel_init: str
    norm: str = "none"

    def __call__(self, z, mask=None):
        """Return the Normal, batch shape [S, B].

        Args:
          z: latents [S, B, D].
          mask: batch["mask"] [B], for batch normalisation.
        """
        return self.read(z, mask)[1]

    @nn.compact
    def read(self, z, mask=None):
        """Return the activations of the last dense layer, and the Normal.

        The arguments are those of `__call__`.
        """
        h = mlp.Mlp(self.hidden, self.activation, self.kernel_init, self.norm)(z, mask)
        return h, diagonal_normal.Posterior(self.size, kernel_init=self.kernel_init)(h)


class Model(vae.Model):
    """Extend `vae.Model` by stochastic layers above its latent h1, the layer next to the data.

    The posterior is that of h1, and the prior is that of the top layer. Between layers, all distributions are diagonal
    normals.

    Args:
      upper_dims: the sizes of the layers above h1, from the lowest to the top.
      upper_hidden: the widths of the dense layers between one stochastic layer and the next, in both directions.
      activation: the activation after each of these dense layers.
      kernel_init: the initialiser of these dense layers.

    Raises:
      UserError: if `upper_dims` is empty or has a size below 1.
    """

    upper_dims: Sizes = (2,)
    upper_hidden: Sizes = (100, 100)
    activation: str = "relu"

    gives_posterior = False
    # The prior of the layer next to the data depends on the layer above it.
    standard_prior = False

    @property
    def roles(self):
        """Return {module: player}: everything that infers latents belongs to the encoder."""
        return {"q_z": "encoder", **{f"q_up_{number}": "encoder" for number in range(len(self.upper_dims))}}

    @property
    def prior_dim(self) -> int:
        """Return the size of the top layer."""
        return self.upper_dims[-1]

    def setup(self):
        """Check the sizes, and make the VAE and the links between its layers."""
        if not self.upper_dims or min(self.upper_dims) < 1:
            raise UserError(f"model.upper_dims is {self.upper_dims}\nexpected one size or more, each at least 1")
        super().setup()
        self.q_up = [self.link(size) for size in self.upper_dims]
        self.p_down = [self.link(size) for size in (self.latent_size, *self.upper_dims[:-1])]

    def link(self, size: int) -> Link:
        """Make a link to a layer of this size."""
        return Link(size, self.upper_hidden, self.activation, self.kernel_init)

    def encode(self, batch: Batch, num_samples: int = 1) -> tuple[Latent, ...]:
        """Return one `Latent` for each layer, top level first.

        All layers but the top have the prior None. Such a prior depends on the layer above, whose sample was drawn
        given this layer, so that the KL divergence has no closed form.

        Args:
          batch: "inputs" [B, *shape] is read.
          num_samples: S, the number of samples of all layers together, for each example.
        """
        layers = [self.infer(batch, num_samples)]
        for link in self.q_up:
            below = layers[-1].sample
            posterior = link(below)
            z = posterior.sample(self.make_rng("latent"), 1)[0]
            # For the path derivative, gradients stop at the link's parameters, but pass through the sample below.
            frozen, variables = link.unbind()
            log_q_path = frozen.apply(jax.lax.stop_gradient(variables), below).log_prob(z)
            layers.append(Latent(z, posterior, None, posterior.log_prob(z), None, log_q_path))
        densities = self._log_priors([layer.sample for layer in layers], batch)
        layers = [layer.replace(log_p=log_p) for layer, log_p in zip(layers, densities, strict=True)]
        layers[-1] = layers[-1].replace(prior=self.prior_of(batch))
        return tuple(layers[::-1])

    def _log_priors(self, samples, batch):
        """Return the log prior of each layer given the layer above it, [S, B] each, from h1 on."""
        given = [link(above).log_prob(z) for link, z, above in zip(self.p_down, samples, samples[1:])]
        return [*given, self.prior_of(batch).log_prob(samples[-1])]

    def prior_codes(self, batch: Batch) -> tuple:
        """Draw latents from the prior, one array [1, B, D] for each layer, top level first.

        Args:
          batch: "mask" [B] tells how many latents to draw.
        """
        codes = list(super().prior_codes(batch))
        for link in self.p_down[::-1]:
            codes.append(link(codes[-1]).sample(self.make_rng("latent"), 1)[0])
        return tuple(codes)

    def log_joint(self, samples: tuple, batch: Batch):
        """Return log p(x, latents) [S, B] in nats.

        Args:
          samples: any latents, one array [S, B, D] for each layer, top level first.
          batch: "x" [B, *shape] is read.
        """
        log_p_x = self.decode(samples, batch).log_prob(batch["x"][None])
        return log_p_x + sum(self._log_priors(samples[::-1], batch))
