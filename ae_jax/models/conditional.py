"""The conditional VAE: encoder, decoder and optionally prior also read the label.

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
    """Extend `vae.Model` by the label y: batch["label"], classes [B] or vectors [B, L].

    Args:
      conditional_prior: whether the prior is p(z|y), a Normal whose mean and log standard deviation are linear in y,
        rather than p(z).

    Raises:
      UserError: if the data have no labels, or if `spatial`.
    """

    conditional_prior: bool = False

    gives_posterior = False
    reads_label = True

    def setup(self):
        """Make the VAE, and the linear layer of a conditional prior."""
        super().setup()
        if not self.spec.label_width:
            raise UserError("a conditional model needs labels, and these data have none\ntry --config.model.name=vae")
        if self.spatial:
            raise UserError(
                "model.spatial=True is not possible in a conditional model, which joins labels to a vector\n"
                "use model.spatial=False"
            )
        if self.conditional_prior:
            # Zeros make the prior N(0, I) for every label at first.
            self.p_z_given_y = nn.Dense(2 * self.latent_dim, kernel_init=nn.initializers.zeros)

    def condition(self, batch: Batch):
        """Return the labels y [B, L] as vectors: classes are one-hot, and vectors are unchanged.

        Args:
          batch: only "label" is read.

        Raises:
          UserError: if the labels are not of the kind that the training data have.
        """
        label = jnp.asarray(batch["label"])
        y = label
        if label.ndim == 1 and not self.spec.label_dim:
            y = jax.nn.one_hot(label, self.spec.label_width)
        if y.shape[1:] != (self.spec.label_width,):
            given = f"vectors [N, {label.shape[1]}]" if label.ndim == 2 else "classes"
            raise UserError(
                f"this model reads labels that are {self.spec.labels}, and is given {given}\n"
                "try examples with their labels: --figures=reconstructions, or apply.py with an .npz"
            )
        return y

    def features(self, batch: Batch):
        """Return the encoder's features, followed by the label: [B, F + L]."""
        return jnp.concatenate([super().features(batch), self.condition(batch)], axis=-1)

    def prior_of(self, batch: Batch):
        """Return p(z), batch shape []; or p(z|y), batch shape [B], where y is batch["label"]."""
        if not self.conditional_prior:
            return super().prior_of(batch)
        loc, log_scale = jnp.split(self.p_z_given_y(self.condition(batch)), 2, axis=-1)
        return Normal(loc, log_scale)

    def decode(self, samples: tuple, batch: Batch, train: bool = False):
        """Return p(x | z, y), batch shape [S, B].

        Args:
          samples: latents, one array [S, B, D].
          batch: "label" is read.
          train: whether this is a training step.
        """
        z, y = samples[-1], self.condition(batch)
        y = jnp.broadcast_to(y[None], (len(z), *y.shape))
        return super().decode((jnp.concatenate([z, y], axis=-1),), batch, train)
