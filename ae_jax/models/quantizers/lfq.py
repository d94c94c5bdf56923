"""Lookup-free quantization: each number of a vector is replaced by its sign.

Yu et al. 2023, "Language model beats diffusion: tokenizer is key to visual generation", arXiv:2310.05737, section 3.1.
"""

import itertools

import jax
import jax.numpy as jnp
import numpy as np

from ae_jax.core.errors import UserError
from ae_jax.core.forms import Size
from ae_jax.models.quantizers import Quantized, gradients, projected

_LARGEST = 30  # bits of an index, which is int32
_LARGEST_GROUP = 12  # bits of which all combinations are enumerated
_TEMPERATURE = 1.0


class Quantizer(projected.Projected):
    """Replace each number of a vector by its sign; the signs are the bits of the index.

    With p = softmax(2 z c / temperature) over the entries c, the penalties are "entropy", the entropy of p of each
    vector, and "diversity", minus the entropy of the mean of p over the batch. That entropy is exact within each group
    of bits, and summed over groups. The penalty "commitment" is the squared distance of a vector to its entry. Only the
    gradient of "diversity" depends on the batch. A vector whose size is not `bits` passes a dense layer before and
    another one after.

    Args:
      latent_dim: D, the size of a vector.
      bits: the number of bits of an index.
      group: the number of bits in a group, of which all combinations are enumerated.
      temperature: the temperature of p, 1 by default.

    Raises:
      UserError: if there are more bits than an index can hold or a group can enumerate.
    """

    bits: Size = 10
    group: Size = 10

    varying = ("temperature",)

    @property
    def inner_dim(self) -> int:
        """Return the number of bits."""
        return self.bits

    @property
    def size(self) -> int:
        """Return the number of entries, two to the power of `bits`."""
        if self.bits > _LARGEST:
            raise UserError(f"model.bits={self.bits} are more than an index can hold\nuse at most {_LARGEST}")
        if self.group > _LARGEST_GROUP:
            raise UserError(f"model.group={self.group} has too many entries to enumerate\nuse at most {_LARGEST_GROUP}")
        return 2**self.bits

    def quantize(self, z, shown, hparams) -> Quantized:
        """Take the signs of vectors z [N, bits]; the gradient is straight-through."""
        signs = jnp.where(z > 0, 1.0, -1.0)
        indices = ((z > 0) * self._places()[None]).sum(axis=-1).astype(jnp.int32)
        temperature = hparams.get("temperature", _TEMPERATURE)
        # log p of the bits 1 and 0: p factorises over the bits of one vector.
        log_p = jax.nn.log_sigmoid(4 * z / temperature), jax.nn.log_sigmoid(-4 * z / temperature)
        entropy = -(jnp.exp(log_p[0]) * log_p[0] + jnp.exp(log_p[1]) * log_p[1]).sum(axis=-1)
        shown = jnp.ones(len(z)) if shown is None else shown
        diversity = sum(
            _entropy_of_mean([each[:, start : start + self.group] for each in log_p], shown)
            for start in range(0, self.bits, self.group)
        )
        penalties = {
            "entropy": entropy,
            "diversity": jnp.broadcast_to(-diversity, len(z)),
            "commitment": jnp.square(z - signs).sum(axis=-1),
        }
        return Quantized(gradients.straight_through(z, signs), indices, penalties)

    def entries(self, indices):
        """Return entries [..., bits] by their numbers [...]."""
        places = self._places().reshape((1,) * indices.ndim + (-1,))
        return jnp.where(indices[..., None] // places % 2 > 0, 1.0, -1.0)

    def _places(self) -> np.ndarray:
        return 2 ** np.arange(self.bits, dtype=np.int32)


def _entropy_of_mean(log_p, shown):
    """Return the entropy in nats of the mean distribution over all values of a group of bits.

    Args:
      log_p: the log probabilities [N, G] of the bits 1, and of the bits 0.
      shown: [N], zero for the vectors of padding.
    """
    combinations = np.float32(list(itertools.product((1, 0), repeat=log_p[0].shape[1])))
    joint = jnp.exp(log_p[0] @ combinations.T + log_p[1] @ (1 - combinations).T)
    mean = shown @ joint / jnp.maximum(shown.sum(), 1)
    return -(mean * jnp.log(jnp.maximum(mean, 1e-30))).sum()
