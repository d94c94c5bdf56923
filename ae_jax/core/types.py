"""The words that the rooms share: what data look like, and what a model answers."""

import dataclasses
from typing import Any

import flax.struct
import numpy as np

# A batch is a dict of arrays whose first axis is B.
#   "x"       what the model explains: [B, *spec.shape], float32
#   "inputs"  what the encoder reads: "x", or "x" corrupted
#   "label"   [B] int32, where the data have classes; [B, L] float32, where they have vectors
#   "mask"    [B] float32: 1 for an example, 0 for the padding of the last batch of an epoch
#   "mean"    as "x", each the mean of all training examples: only when a model is made that starts from it
#   "factors" [B, F] int32, known generative factors, where the data have them; no model reads them
#   "observed" [B, *spec.shape] float32: 1 where a value is known, where the data say so
#   "num_examples" [B] float32, each the size of the training set
Batch = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class DataSpec:
    """What one example looks like.

    kind: "pixels" are integers 0 .. levels-1, presented to models as value / (levels - 1) in [0, 1];
          "reals" are floats, presented as they are;
          "events" are integers 0 .. levels-1 that name classes, presented as they are: melodies;
          "tokens" are integers 0 .. levels-1 of any shape that name classes, presented as they are: discrete latents.
    """

    shape: tuple[int, ...]  # channels last
    kind: str = "pixels"
    classes: int = 0  # labels are 0 .. classes-1; 0 where there are none
    levels: int = 256
    names: tuple[str, ...] = ()  # of the classes, where they have others than their numbers
    label_dim: int = 0  # L, where labels are no classes but vectors [L] of floats
    # Of reals that were standardised: the mean and deviation that each number of the last axis had before.
    mean: tuple[float, ...] = ()
    deviation: tuple[float, ...] = ()

    def __post_init__(self):
        # Lists where it comes from JSON.
        lists = {"shape": self.shape, "names": self.names, "mean": self.mean, "deviation": self.deviation}
        for field, values in lists.items():
            object.__setattr__(self, field, tuple(values))

    @property
    def class_names(self) -> tuple[str, ...]:
        return self.names or tuple(map(str, range(self.classes)))

    @property
    def label_width(self) -> int:
        """The length of a label as a vector, one-hot for a class; 0 where there are no labels."""
        return self.label_dim or self.classes

    def restored(self, x: Any) -> Any:
        """Return examples x [..., *shape] in the units that they had before they were standardised, if they were."""
        if not self.mean:
            return x
        axes = (1,) * (x.ndim - 1) + (-1,)
        return x * np.float32(self.deviation).reshape(axes) + np.float32(self.mean).reshape(axes)

    @property
    def labels(self) -> str:
        """What labels may be, in words."""
        return f"vectors [N, {self.label_dim}]" if self.label_dim else f"classes 0 to {self.classes - 1}"


@flax.struct.dataclass
class Latent:
    """One layer of codes. A deterministic code has a sample and nothing else."""

    sample: Any  # [S, B, ...]
    posterior: Any = None  # distribution, batch shape [B]; [S, B] where it depends on another layer's sample
    # Distribution, batch shape [B] or [], or [S, B] below another layer; None where it depends on a sample drawn given
    # this one.
    prior: Any = None
    log_q: Any = None  # [S, B], density of the sample under the posterior
    log_p: Any = None  # [S, B], density of the sample under the prior
    log_q_path: Any = None  # [S, B], log_q whose gradient by the posterior's parameters flows through samples alone
    indices: Any = None  # int32 [S, B, ...] of a discrete latent: the entries that the sample is made of


@flax.struct.dataclass
class Outputs:
    """What every family of models answers; objectives, evaluations and plots read nothing else."""

    likelihood: Any  # distribution over batch["x"], batch shape [S, B]
    latents: tuple[Latent, ...]  # top level first
    code: Any  # [B, D], what probes, scatters and disentanglement read
    penalties: dict[str, Any] = flax.struct.field(default_factory=dict)  # {name: [B]}, terms only the family knows
