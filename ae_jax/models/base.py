"""The contract of a model family: all that training, evaluation and figures may ask for.

A family is a Linen module that fills `ae_jax.core.types.Outputs` from a batch. It inherits from `Family`, whose
methods, properties and class attributes are the complete list of what a family may declare. Code outside this package
asks a model only for these words, and `Family.says` tells whether a family declares one.
"""

import math
from typing import Any, ClassVar

import flax.linen as nn

from ae_jax.core import spaces
from ae_jax.core.types import Batch, DataSpec, Latent, Outputs


class Family(nn.Module):
    """An autoencoder of examples that `spec` describes.

    Facts are class attributes without an annotation, or properties: an annotated default would become a dataclass field
    and break the order of the subclasses' fields.

    Args:
      spec: what one example looks like.
    """

    spec: DataSpec

    # The kinds of data, see `DataSpec.kind`, that the family is for.
    kinds: ClassVar[tuple[str, ...]] = ("pixels", "reals")
    # {top-level module: player} for modules whose player has another name; see `ae_jax.training.players`.
    roles = {}  # type: dict[str, str]
    # Keys of the config's section `model` that are numbers, and may be schedules: they arrive in `hparams`.
    varying = ()  # type: tuple[str, ...]
    # The top-level modules that mixed precision computes in bfloat16.
    networks = ("encoder", "decoder")  # type: tuple[str, ...]
    # Whether encoding, decoding or generating reads batch["label"].
    reads_label = False
    # Whether decoding reads batch["x"], as a decoder does that predicts each event from the true ones before it.
    reads_x = False
    # Whether decoding adds batch["inputs"] to what it makes of the latent.
    adds_inputs = False
    # Whether the prior depends on batch["label"].
    conditional_prior = False
    # Whether the prior of the layer next to the data is N(0, I), so that figures may place grids by its quantiles.
    standard_prior = False
    # Whether no part of the encoder also serves the decoder or the prior, so that each can have its own objective.
    encoder_is_apart = True
    # What `init` receives of the training data: "nothing" (zeros), "mean" (their mean, as batch["mean"]), or
    # "first_batch" (as many examples as a batch has, evenly spread over the training split).
    starts_from = "nothing"
    # The least and the greatest value of x, as models see it, that has a likelihood.
    support = (-math.inf, math.inf)
    # Whether pixels must be dequantised, because a density of discrete values could grow without bound.
    needs_dequantised = False
    # How many codebooks the last axis of discrete indices goes through; 1 if all indices name entries of one codebook.
    codebooks = 1
    # The geometry of the latent space, for interpolation and means.
    space = spaces.EUCLIDEAN

    @property
    def code_spec(self) -> DataSpec | None:
        """Describe a discrete or spatial latent as data for a second-stage model; None for vectors."""
        return None

    def __call__(self, batch: Batch, *, num_samples: int = 1, train: bool = False, hparams: Any = None) -> Outputs:
        """Encode batch["inputs"] and explain batch["x"].

        Args:
          batch: see `ae_jax.core.types.Batch`.
          num_samples: S, how many samples of a random latent are drawn.
          train: whether this is a training step.
          hparams: {key: number} of the words in `varying`.

        Returns:
          Outputs with leading axes [S, B]; S is 1 for a deterministic latent.
        """
        raise NotImplementedError

    def encode(self, batch: Batch, num_samples: int = 1) -> tuple[Latent, ...]:
        """Return the latents of batch["inputs"], top level first; () for a model without latents."""
        raise NotImplementedError

    def decode(self, samples: tuple, batch: Batch, train: bool = False) -> Any:
        """Return p(x | latents), batch shape [S, B].

        Args:
          samples: one array [S, B, D] for each layer, top level first. Latents of another shape may come flattened.
          batch: its "label", "inputs" or "x" are read only by families that say so.
          train: whether this is a training step.
        """
        raise NotImplementedError

    def prior_of(self, batch: Batch) -> Any:
        """Return the prior of the top latent, batch shape []; [B] where it depends on the label."""
        raise NotImplementedError

    def prior_codes(self, batch: Batch) -> tuple:
        """Draw as many latents from the prior as batch["mask"] is long, [1, B, D] for each layer."""
        raise NotImplementedError

    def generate(self, batch: Batch) -> Any:
        """Return p(x | latents) at latents from `prior_codes`, batch shape [1, B]."""
        raise NotImplementedError

    def draw(self, batch: Batch, temperature: float = 1.0, top_k: int = 0) -> Any:
        """Draw examples [B, *shape] token by token.

        Args:
          batch: "mask" [B] tells how many are drawn; "label" is read if the model says so.
          temperature: the number that logits are divided by.
          top_k: how many of the most probable tokens can be drawn; 0 for all.
        """
        raise NotImplementedError

    def first_state(self, count: int) -> Any:
        """Return the state of `next_logits` before the first token of `count` examples."""
        raise NotImplementedError

    def next_logits(self, state: Any, before: Any, place: Any) -> tuple[Any, Any]:
        """Return the next state and the logits [B, K] of the tokens at a place, in raster order.

        Args:
          state: the state, from `first_state` or the place before.
          before: the tokens at the place before, int [B]; -1 at the first place.
          place: the number of the place.
        """
        raise NotImplementedError

    def embed(self, indices: Any) -> Any:
        """Return the latents [S, B, ...] of entries of the codebook.

        Args:
          indices: the numbers of the entries, int32 [S, B, ...]. Where `codebooks` is above 1, a negative number stands
            for no entry.
        """
        raise NotImplementedError

    def log_joint(self, samples: tuple, batch: Batch) -> Any:
        """Return log p(x, latents) [S, B] in nats at any latents, [S, B, D] for each layer."""
        raise NotImplementedError

    def classify(self, batch: Batch) -> Any:
        """Return p(label | x), a Categorical of batch shape [B]."""
        raise NotImplementedError

    def write(self, z: Any, temperature: float = 0.0) -> Any:
        """Return sequences [..., T] that the decoder writes event by event from latents [..., D]."""
        raise NotImplementedError

    def after_update(self, params: Any) -> Any:
        """Return the parameters after an update, for example projected onto a constraint."""
        return params

    def after_batch(self, collections: Any, key: Any) -> Any:
        """Return the mutable collections that follow a training step that was not skipped.

        Sums over the batch that `__call__` adds to the variables of the collection "sums" are complete here: they begin
        each step at zero and hold the total over all pieces of the batch and all devices.

        Args:
          collections: {collection: {name: array}}, all but the parameters.
          key: the random stream "collections" of this step.
        """
        return collections

    @classmethod
    def says(cls, word: str) -> bool:
        """Tell whether a family declares `word`, a method or property of `Family`, for itself."""
        return getattr(cls, word) is not getattr(Family, word)
