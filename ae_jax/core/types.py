"""The types that all packages share: arrays, batches, and what a model returns."""

import dataclasses
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, no_type_check, runtime_checkable

import flax.struct
import jax

# The tests check every call against these annotations, through an import hook that needs jaxtyping's names at run time.
# In production nothing is checked; importing jaxtyping takes about 1 % of the time that importing JAX takes.
import jaxtyping
import numpy as np
from jaxtyping import Float

if TYPE_CHECKING:
    Array: TypeAlias = jax.Array
else:
    # jaxtyping then accepts whatever has a shape and a dtype, such as NumPy's arrays. The fields of structs are not
    # checked at all, because `jax.vmap` and others rebuild structs with placeholders instead of arrays.
    Array = Any
Key: TypeAlias = jaxtyping.Key[jax.Array, ""]  # made by jax.random.key
Tree: TypeAlias = Any  # a pytree, or an object of which only its users know the type

Scalar: TypeAlias = int | float | Float[Array, ""]  # a constant, or a number that the compiled program receives

# The number of the rules by which a run reads its data: "format" in its config.json, and in the sweep.json of a sweep.
# Every change of a rule raises it by one. A run that began under older rules keeps them, so that it is never evaluated
# on data on which it was trained.
#   1  (also if no number is stored) validation is the end of the training split
#   2  validation is the data set's own validation split, or else drawn from the training split by a fixed permutation
#   3  melodies are split by families of tunes, see `ae_jax.data.music.families`
#   4  data.binarize=fixed draws by a seed of its own, data.binarize_seed, and not by the seed of the run
#   5  classes are numbered in sorted order without gaps, data.labelled keeps labels evenly over the training split,
#      transparent images are put on data.background, and folders named train, val and test are splits
FORMAT = 5

# A batch is a dict of arrays whose first axis has length B.
#   "x"       what the model explains: [B, *spec.shape], float32
#   "inputs"  what the encoder reads: "x", or a corrupted "x"
#   "label"   [B] int32 if the data have classes; [B, L] float32 if their labels are vectors
#   "mask"    [B] float32: 1 for an example, 0 for padding of the last batch of an epoch
#   "mean"    shaped like "x", each row the mean training example: only in the batch that initialises a model that
#             starts from it
#   "factors" [B, F] int32, known generative factors, if the data have them; no model reads them
#   "observed" [B, *spec.shape] float32: 1 where a value is known, if the data say so
#   "undequantised" [B, *spec.shape] float32: x before noise of dequantisation was added, if it was
#   "num_examples" [B] float32, each the size of the training set
Batch: TypeAlias = dict[str, Array]

# The terms of an objective for each example, to be minimised.
Terms: TypeAlias = dict[str, Float[Array, " B"]]


@runtime_checkable
class Distribution(Protocol):
    """A distribution with a batch shape and an event shape; see `ae_jax.core.distributions`."""

    def log_prob(self, value: Array) -> Array:
        """Return the log density of `value` in nats, summed over the event.

        Args:
          value: [..., *event], whose batch axes broadcast against those of the distribution.
        """

    def sample(self, key: Key, n: int) -> Array:
        """Draw n samples in a new leading axis."""

    if TYPE_CHECKING:  # A check at run time would compute the mean.

        @property
        def mean(self) -> Array:
            """Return the mean, or another point that represents the distribution."""


@no_type_check  # no check at run time, because lists are accepted for tuples
@dataclasses.dataclass(frozen=True)
class DataSpec:
    """The shape, kind and labels of one example.

    Attributes:
      shape: shape of an example, channels last.
      kind: how values are stored and presented to models. "pixels" are integers 0 .. levels-1, presented as
        value / (levels - 1) in [0, 1]. "reals" are floats, presented unchanged. "events" are integers 0 .. levels-1
        that number the events of melodies, presented unchanged. "tokens" are integers 0 .. levels-1 of any shape, such
        as discrete latents, presented unchanged.
      classes: number of classes; labels are 0 .. classes-1. 0 if the labels are not classes.
      levels: number of different values of a pixel, an event or a token.
      names: names of the classes; empty if a class is called by its number.
      label_dim: length L of labels that are vectors [L] of floats. 0 if the labels are not vectors.
      mean: of reals that were scaled, the offset that was subtracted from each number of the last axis; else empty.
      deviation: the divisor of each, likewise. These two are the means and standard deviations of standardised data.
      unscaled: kind that scaled examples had before, which are reals now; else empty.
      features: names of the numbers of the last axis, as the columns of a table have them; empty where they have none.
      bar: number of events in a bar; only melodies have bars.
    """

    shape: tuple[int, ...]
    kind: str = "pixels"
    classes: int = 0
    levels: int = 256
    names: tuple[str, ...] = ()
    label_dim: int = 0
    mean: tuple[float, ...] = ()
    deviation: tuple[float, ...] = ()
    unscaled: str = ""
    features: tuple[str, ...] = ()
    bar: int = 16

    def __post_init__(self) -> None:
        """Turn lists, which JSON and data sources give, into tuples, which can be hashed."""
        for field in ("shape", "names", "mean", "deviation", "features"):
            object.__setattr__(self, field, tuple(getattr(self, field)))

    @property
    def class_names(self) -> tuple[str, ...]:
        """Return the name of each class."""
        return self.names or tuple(str(number) for number in range(self.classes))

    @property
    def label_width(self) -> int:
        """Return the length of a label as a vector, one-hot for a class; 0 without labels."""
        return self.label_dim or self.classes

    def restored(self, x: Array) -> Array:
        """Return examples x [..., *shape] in the units that they had before they were scaled.

        Args:
          x: examples [..., *shape] as models read them. Examples that were never scaled are returned unchanged.
        """
        if not self.mean:
            return x
        axes = (1,) * (x.ndim - 1) + (-1,)
        mean, deviation = (np.asarray(each, np.float32).reshape(axes) for each in (self.mean, self.deviation))
        return x * deviation + mean

    @property
    def labels(self) -> str:
        """Describe the labels for an error message."""
        if self.label_dim:
            return f"vectors [N, {self.label_dim}]"
        if not self.names:
            return f"classes 0 to {self.classes - 1}"
        return f"classes {', '.join(self.names[:20])}{', ...' if len(self.names) > 20 else ''}"


class Latent(flax.struct.PyTreeNode):
    """One layer of latent variables. A deterministic layer has a sample and nothing else."""

    sample: Array  # [S, B, ...]
    posterior: Distribution | None = None  # batch shape [B]; [S, B] if it depends on the sample of another layer
    # Batch shape [] or [B]; [S, B] if it depends on the sample of another layer. None if the sample of that layer was
    # drawn after, and given, this one.
    prior: Distribution | None = None
    log_q: Array | None = None  # [S, B]: log density of the sample under the posterior
    log_p: Array | None = None  # [S, B]: log density of the sample under the prior
    # [S, B]: log_q, differentiated with respect to the posterior's parameters through the sample alone.
    log_q_path: Array | None = None
    indices: Array | None = None  # int32 [S, B, ...]: entries of the codebook of which a discrete sample is made


class Outputs(flax.struct.PyTreeNode):
    """The outputs of a model of any family. Objectives, metrics and figures read nothing else."""

    likelihood: Distribution  # over batch["x"], batch shape [S, B]
    latents: tuple[Latent, ...]  # top level first
    code: Array  # [B, D]: the latent vector that probes, metrics and figures read
    penalties: dict[str, Array] = flax.struct.field(default_factory=dict)  # {name: [B]}: terms only the family knows
