"""The conditional VAE: the class, or any vector of labels, is given to encoder, decoder and, if wanted, prior.

Sohn et al. 2015, "Learning structured output representation using deep conditional generative models", NeurIPS 28.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from ae_jax.core.distributions import Normal
from ae_jax.core.errors import UserError
from ae_jax.core.types import Batch
from ae_jax.models import vae


class Model(vae.Model):
    """As `vae.Model`; reads batch["label"]: [B] classes, or [B, L] vectors, as the data have them.

    conditional_prior: whether p(z|y) is a Normal whose mean and scale are linear in the label, rather than p(z).
    """

    conditional_prior: bool = False

    gives_posterior = False
    reads_label = True

    def setup(self):
        super().setup()
        if not self.spec.label_width:
            raise UserError("a conditional model needs labels, and these data have none\ntry --config.model.name=vae")
        if self.spatial:
            raise UserError("a conditional model joins labels to a vector, not to an image\nset model.spatial to False")
        if self.conditional_prior:
            self.p_z_given_y = nn.Dense(2 * self.latent_dim, kernel_init=nn.initializers.zeros)

    def condition(self, batch: Batch):
        """y [B, L]: classes as one-hot vectors, vectors as they are. Raises UserError for labels of another kind."""
        label = jnp.asarray(batch["label"])
        y = jax.nn.one_hot(label, self.spec.label_width) if label.ndim == 1 and not self.spec.label_dim else label
        if y.shape[1:] != (self.spec.label_width,):
            given = f"vectors [N, {label.shape[1]}]" if label.ndim == 2 else "classes"
            raise UserError(
                f"this model reads labels that are {self.spec.labels}, and is given {given}\n"
                "try what gives it examples with their labels: --figures=reconstructions, apply.py with an .npz"
            )
        return y

    def features(self, batch: Batch):
        return jnp.concatenate([super().features(batch), self.condition(batch)], axis=-1)

    def prior_of(self, batch: Batch):
        if not self.conditional_prior:
            return super().prior_of(batch)
        loc, log_scale = jnp.split(self.p_z_given_y(self.condition(batch)), 2, axis=-1)
        return Normal(loc, log_scale)

    def decode(self, samples: tuple, batch: Batch, train: bool = False):
        z = samples[-1]
        y = jnp.broadcast_to(self.condition(batch)[None], (len(z), *self.condition(batch).shape))
        return super().decode((jnp.concatenate([z, y], axis=-1),), batch, train)
