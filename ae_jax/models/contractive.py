"""The contractive autoencoder: codes that change little where the input does.

Rifai et al. 2011, "Contractive auto-encoders: explicit invariance during feature extraction", ICML 28.
"""

import jax
import jax.numpy as jnp

from ae_jax.core.types import Batch, Outputs
from ae_jax.models import ae


class Model(ae.Model):
    """As `ae.Model`, with the penalty "contraction": the squared Frobenius norm of the code's Jacobian, ||dz/dx||^2."""

    def __call__(self, batch: Batch, *, num_samples: int = 1, train: bool = False, hparams=None) -> Outputs:
        outputs = super().__call__(batch, num_samples=num_samples, train=train, hparams=hparams)
        model, variables = self.unbind()
        encode = lambda x: model.apply(variables, {**batch, "inputs": x}, method="encode")[0].sample[0]
        code, pullback = jax.vjp(encode, batch["inputs"])
        # Examples do not touch each other, so one pull-back gives row d of every example's Jacobian.
        rows = jax.vmap(lambda one_hot: pullback(jnp.broadcast_to(one_hot, code.shape))[0])(jnp.eye(code.shape[-1]))
        squares = jnp.square(rows).sum(axis=(0, *range(2, rows.ndim)))
        return outputs.replace(penalties={"contraction": squares})
