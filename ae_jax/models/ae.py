"""The autoencoder: a deterministic code and a distribution over x around its decoding.

Hinton and Salakhutdinov 2006, "Reducing the dimensionality of data with neural networks", Science 313.
"""

import math
from collections.abc import Callable

import flax.linen as nn
import jax

from ae_jax.core.errors import UserError
from ae_jax.core.types import Batch, DataSpec, Latent, Outputs
from ae_jax.models import base
from ae_jax.models.likelihoods import bernoulli
from ae_jax.models.nets import ImageEncoder, mlp, words


class Model(base.Family):
    """Autoencoder of examples of shape `spec.shape`.

    encoder: module, x [N, *shape] -> features [N, F].
    decoder: module, (z [N, D], output shape) -> [N, *output shape], no activation.
    likelihood: spec -> module of `ae_jax.models.likelihoods`.
    latent_dim: D; 0 takes the encoder's features themselves as the code.
    code_activation: name of the function applied to the code.
    residual: whether the decoder's outputs are added to the inputs, resized where their shape is another.
    spatial: whether the latent has `latent_dim` numbers for each place of the encoder's last image. Latents are flat,
        [N, h * w * latent_dim], everywhere outside of the networks.
    """

    encoder: nn.Module = mlp.Encoder()
    decoder: nn.Module = mlp.Decoder()
    likelihood: Callable[[DataSpec], nn.Module] = bernoulli.Likelihood
    latent_dim: int = 32
    code_activation: str = "identity"
    residual: bool = False
    kernel_init: str = "lecun_normal"
    spatial: bool = False

    @property
    def adds_inputs(self) -> bool:
        """Tell whether decoding adds batch["inputs"] to what it makes of the latent."""
        return self.residual

    @property
    def starts_from(self) -> str:
        """Tell what `init` receives of the training data: "mean" where the likelihood starts from it."""
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
        """Return the height and width of the encoder's last image; an empty tuple where the latent is a vector."""
        if not self.spatial:
            return ()
        if not isinstance(self.encoder, ImageEncoder) or len(self.spec.shape) != 3:
            raise UserError(
                "model.spatial needs images and an encoder that keeps its last image\n"
                "try model.encoder=conv and model.decoder=conv"
            )
        return self.encoder.image_size(self.spec.shape)

    def setup(self):
        self._places()
        self.p_x = self.likelihood(self.spec)
        if self.latent_dim:
            self.z = nn.Dense(self.latent_dim, kernel_init=words.initializer(self.kernel_init))

    def features(self, batch: Batch):
        """What the head that makes the code reads: [B, F]."""
        return self.encoder(batch["inputs"])

    def encode(self, batch: Batch, num_samples: int = 1) -> tuple[Latent, ...]:
        """batch["inputs"] [B, *shape] -> one code [1, B, D], whatever `num_samples`: nothing is random."""
        features = self.features(batch)
        code = self.z(features) if self.latent_dim else features
        code = code.reshape(len(code), -1)
        return (Latent(sample=words.activation(self.code_activation)(code)[None]),)

    def decode(self, samples: tuple, batch: Batch, train: bool = False):
        """Codes, one array [S, B, D] a layer, top level first -> distribution over x, batch shape [S, B]."""
        codes = samples[-1]
        outputs = self.decoder(codes.reshape(-1, codes.shape[-1]), self.p_x.output_shape)
        outputs = outputs.reshape(*codes.shape[:2], *outputs.shape[1:])
        if self.residual:
            if outputs.shape[2:] != self.spec.shape:
                raise UserError("model.residual adds the inputs to means, and this likelihood has other parameters too")
            outputs += jax.image.resize(batch["inputs"], outputs.shape[1:], "bicubic")[None]
        return self.p_x(outputs, batch, train)

    def code(self, latents: tuple[Latent, ...]):
        """[B, D], what the scatter, the probes and `encode` on the command line read."""
        return latents[-1].sample[0]

    def __call__(self, batch: Batch, *, num_samples: int = 1, train: bool = False, hparams=None) -> Outputs:
        """Encodes batch["inputs"] and explains batch["x"]."""
        latents = self.encode(batch, num_samples)
        likelihood = self.decode(tuple(latent.sample for latent in latents), batch, train)
        return Outputs(likelihood, latents, self.code(latents))
