"""The autoencoder: a deterministic latent, from which a decoder makes a distribution over x.

Hinton and Salakhutdinov 2006, "Reducing the dimensionality of data with neural networks", Science 313.
"""

import math
from collections.abc import Callable

import flax.linen as nn
import jax

from ae_jax.core.errors import UserError
from ae_jax.core.forms import Count
from ae_jax.core.types import Batch, DataSpec, Latent, Outputs
from ae_jax.models import base
from ae_jax.models.likelihoods import bernoulli
from ae_jax.models.nets import ImageEncoder, mlp, words


class Model(base.Family):
    """Encode examples into a deterministic latent, and decode it.

    Args:
      spec: the shape and kind of one example.
      encoder: a module, x [N, *shape] -> features [N, F].
      decoder: a module, (z [N, D], output shape) -> [N, *output shape], without an activation.
      likelihood: a function from `spec` to a module of `ae_jax.models.likelihoods`.
      latent_dim: D, the size of the latent; 0 to use the encoder's features as the latent.
      code_activation: the activation that is applied to the latent.
      residual: whether the inputs are added to the decoder's outputs. Inputs of another size are resized.
      kernel_init: the initialiser of the dense layer that makes the latent.
      spatial: whether the latent has `latent_dim` numbers for each place of the encoder's last image. Outside of the
        networks, such latents are flat, [N, h * w * latent_dim].
    """

    encoder: nn.Module = mlp.Encoder()
    decoder: nn.Module = mlp.Decoder()
    likelihood: Callable[[DataSpec], nn.Module] = bernoulli.Likelihood
    latent_dim: Count = 32
    code_activation: str = "identity"
    residual: bool = False
    kernel_init: str = "lecun_normal"
    spatial: bool = False

    @property
    def adds_inputs(self) -> bool:
        """Tell whether decoding adds batch["inputs"] to the decoder's outputs."""
        return self.residual

    @property
    def starts_from(self) -> str:
        """Return "mean" if the likelihood starts from the mean training example, or else "nothing"."""
        return "mean" if self.likelihood(self.spec).needs_mean else "nothing"

    @property
    def support(self) -> tuple[float, float]:
        """Return the least and the greatest value of x that has a likelihood."""
        return self.likelihood(self.spec).support

    @property
    def needs_dequantised(self) -> bool:
        """Tell whether pixels must be dequantised, as the likelihood says."""
        return self.likelihood(self.spec).needs_dequantised

    @property
    def code_spec(self) -> DataSpec | None:
        """Describe a spatial latent as data for a second-stage model; None for a vector."""
        return DataSpec((*self._places(), self.latent_dim), "reals") if self.spatial else None

    @property
    def latent_size(self) -> int:
        """Return the length of a flat latent."""
        return math.prod(self._places()) * self.latent_dim

    def _places(self) -> tuple[int, ...]:
        """Return the size (h, w) of the encoder's last image; () if the latent is a vector."""
        if not self.spatial:
            return ()
        if not isinstance(self.encoder, ImageEncoder) or len(self.spec.shape) != 3:
            raise UserError(
                "model.spatial=True needs images, and an encoder that can return its last image\n"
                "try model.encoder=conv and model.decoder=conv"
            )
        return self.encoder.image_size(self.spec.shape)

    def setup(self):
        """Make the likelihood, and the dense layer from features to the latent."""
        self._places()  # for its check of the encoder
        self.p_x = self.likelihood(self.spec)
        if self.latent_dim:
            self.z = nn.Dense(self.latent_dim, kernel_init=words.initializer(self.kernel_init))

    def features(self, batch: Batch):
        """Return the encoder's features of batch["inputs"]: [B, F], or [B, h, w, F] with `spatial`."""
        return self.encoder(batch["inputs"])

    def encode(self, batch: Batch, num_samples: int = 1) -> tuple[Latent, ...]:
        """Return the latent of batch["inputs"], one layer with a sample [1, B, D].

        Args:
          batch: only "inputs" [B, *shape] is read.
          num_samples: not read, because the latent is deterministic.
        """
        features = self.features(batch)
        code = self.z(features) if self.latent_dim else features
        code = code.reshape(len(code), -1)
        return (Latent(sample=words.activation(self.code_activation)(code)[None]),)

    def decode(self, samples: tuple, batch: Batch, train: bool = False):
        """Return p(x | latents), batch shape [S, B].

        Args:
          samples: one array [S, B, D] for each layer, top level first. The decoder reads the last layer.
          batch: "inputs" is read if `residual`; the likelihood may read more.
          train: whether this is a training step.

        Raises:
          UserError: if `residual`, and the decoder's outputs are not shaped like x.
        """
        outputs = self.decoded(samples[-1])
        if self.residual:
            if outputs.shape[2:] != self.spec.shape:
                raise UserError(
                    "model.residual=True adds the inputs to means, and this likelihood has other parameters too\n"
                    "use model.residual=False, or model.likelihood=gaussian"
                )
            # Inputs can be smaller than x, as those of the corruption `downsample` are.
            outputs += jax.image.resize(batch["inputs"], outputs.shape[1:], "bicubic")[None]
        return self.p_x(outputs, batch, train)

    def decoded(self, codes):
        """Return the decoder's outputs [S, B, *output shape] at latents [S, B, D]."""
        # Networks have a single batch axis.
        outputs = self.decoder(codes.reshape(-1, codes.shape[-1]), self.p_x.output_shape)
        return outputs.reshape(*codes.shape[:2], *outputs.shape[1:])

    def code(self, latents: tuple[Latent, ...]):
        """Return the latent vectors [B, D] that probes, figures and the task `encode` read.

        Args:
          latents: what `encode` returned.
        """
        return latents[-1].sample[0]

    def __call__(self, batch: Batch, *, num_samples: int = 1, train: bool = False, hparams=None) -> Outputs:
        """Encode batch["inputs"] and explain batch["x"]; see `ae_jax.models.base.Family`."""
        latents = self.encode(batch, num_samples)
        likelihood = self.decode(tuple(latent.sample for latent in latents), batch, train)
        return Outputs(likelihood, latents, self.code(latents))
