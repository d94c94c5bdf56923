"""The contractive autoencoder: latents that change little if the input does.

Rifai et al. 2011, "Contractive auto-encoders: explicit invariance during feature extraction", ICML 28.
"""

import jax
import jax.numpy as jnp

from ae_jax.core.types import Batch, Outputs
from ae_jax.models import ae


class Model(ae.Model):
    """Extend `ae.Model` by the penalty "contraction".

    It is the squared Frobenius norm of the Jacobian dz/dx.
    """

    def __call__(self, batch: Batch, *, num_samples: int = 1, train: bool = False, hparams=None) -> Outputs:
        """Encode batch["inputs"] and explain batch["x"], with the penalty."""
        outputs = super().__call__(batch, num_samples=num_samples, train=train, hparams=hparams)
        # JAX may not transform methods of a bound module. The unbound module is a pure function of its variables.
        model, variables = self.unbind()

        def encode(x):
            return model.apply(variables, {**batch, "inputs": x}, method="encode")[0].sample[0]

        code, pullback = jax.vjp(encode, batch["inputs"])

        def jacobian_row(one_hot):
            # Examples do not depend on each other, so one pullback gives this row of every example's Jacobian.
            return pullback(jnp.broadcast_to(one_hot, code.shape))[0]

        rows = jax.vmap(jacobian_row)(jnp.eye(code.shape[-1]))  # [D, B, *shape]
        squares = jnp.square(rows).sum(axis=(0, *range(2, rows.ndim)))
        return outputs.replace(penalties={"contraction": squares})
