"""The sections of a config: the meaning, default and allowed values of each key.

Sections train, eval and mesh have exactly the keys below. The other sections have further keys, which depend on the
names that are chosen in them: a data source, a model and its parts, an objective, an optimiser, a corruption.
"""

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Any

from ae_jax.core.forms import Count, Limits, Number, Size

# Steps are counted in 32 bits on the device.
_COUNTED = Limits(least=1, most=2**31 - 1)


@dataclasses.dataclass(frozen=True)
class Data:
    """The examples of a run and their splits. The options of the data source are further keys.

    Args:
      name: name of the data set, such as mnist. Setting it also sets source, dir and size.
      source: file in ae_jax/data/sources, or package.module:Name, that reads the examples.
      dir: folder of the data set, for sources that read one.
      path: file or folder of the user's own examples, for sources that read them.
      split: the examples to train and to test on, in the form that the source defines.
      validation: number of training examples that are held out for validation.
      size: pixels a side to which images are brought, or height and width, for sources that can; None leaves them as
        they are.
      scale: how values are scaled: "none"; "minmax", to [0, 1]; "standardize", to mean 0 and standard deviation 1. The
        scaling is fitted to the training split, column by column or channel by channel, and results are scaled back.
      clip: whether scaled values outside [0, 1] are moved to its ends, as those of test examples may lie.
      binarize: "none"; "dynamic" draws pixels in {0, 1} anew at each presentation; "fixed" draws them once.
      binarize_seed: seed of binarize="fixed", so that runs of different seeds share one test set; None stands for 0.
      transpose: largest random transposition of training melodies, in semitones up or down; 0 for none.
      cache: folder for decoded arrays; by default $XDG_CACHE_HOME/ae_jax, or ~/.cache/ae_jax.
      train_on_test: whether to train on the test examples too, as some published numbers do.
      labelled: number of training examples that keep their label, evenly over the split; None keeps all.
      stream: whether to stream examples from memory or disk during training instead of storing them on the device; None
        streams memory-mapped files above 256 MB, and data that take more than half of the devices' memory.
    """

    name: str = "digits"
    source: str = "digits"
    dir: str | None = ""
    path: str | None = ""
    split: str | None = ""
    validation: Count = 0
    size: Annotated[int | tuple[int, ...], Limits(least=1)] | None = None
    scale: str = "none"
    clip: bool | None = False
    binarize: str = "none"
    binarize_seed: Count | None = None
    transpose: Count | None = 0
    cache: str | None = ""
    train_on_test: bool | None = False
    labelled: Count | None = None
    stream: bool | None = None


@dataclasses.dataclass(frozen=True)
class Corruption:
    """The corruption of the encoder's inputs. The corruption's options are further keys.

    Args:
      name: function in ae_jax/data/corruptions.py, or package.module:name; "none" leaves the inputs unchanged.
      clip: whether corrupted inputs are clipped to [0, 1].
    """

    name: str = "none"
    clip: bool | None = None


@dataclasses.dataclass(frozen=True)
class Model:
    """The network. The options of its parts are further keys.

    A key such as `encoder_hidden` sets `hidden` for the encoder alone.

    Args:
      name: file in ae_jax/models, or package.module:Name, that defines the model.
      encoder: file in ae_jax/models/nets, or package.module:Name, that defines the encoder.
      decoder: file in ae_jax/models/nets, or package.module:Name, that defines the decoder.
      likelihood: file in ae_jax/models/likelihoods, or package.module:Name: the distribution over x given the latent.
      latent_dim: size of the latent; 0 uses the features of a deterministic encoder as the latent.
    """

    name: str | None = "ae"
    encoder: str | None = "mlp"
    decoder: str | None = "mlp"
    likelihood: str | None = "bernoulli"
    latent_dim: Annotated[int | None, Limits(least=0, most=1_000_000)] = 2


@dataclasses.dataclass(frozen=True)
class Objective:
    """The objective that training minimises. The objective's options are further keys.

    Args:
      name: function in ae_jax/objectives, or package.module:name.
      num_samples: number of samples of the latent for each example.
      free_bits: option of the ELBO, see `ae_jax.objectives.elbo`; None switches it off.
      capacity: option of the ELBO, see `ae_jax.objectives.elbo`; None switches it off.
    """

    name: str = "elbo"
    num_samples: Annotated[int, Limits(least=1, most=1_000_000)] = 1
    free_bits: Number | None = None
    capacity: Number | None = None


@dataclasses.dataclass(frozen=True)
class Optimizer:
    """The optimiser of the parameters. The optimiser's arguments are further keys.

    Args:
      name: optimiser of Optax, or package.module:name of a function whose first parameter is learning_rate.
      learning_rate: step size; a number or a schedule.
      clip: bound on the global norm of the gradient; None for no bound.
    """

    name: str = "adam"
    learning_rate: Annotated[float | str | None, Limits(least=0, varies=True)] = 1e-3
    clip: Number | None = None


@dataclasses.dataclass(frozen=True)
class Train:
    """The length of training, its logging and its checkpoints.

    Exactly one of steps and epochs is set.

    Args:
      steps: number of training steps.
      epochs: number of passes over the training examples; the last batch of a pass is padded and masked.
      batch_size: number of examples per step.
      accumulate: number of micro-batches whose gradients are accumulated in a step, to save memory; None for one.
      log_every: steps between lines of metrics.
      eval_every: steps between evaluations; 0 evaluates at the end only.
      checkpoint_every: steps between checkpoints.
      keep: number of newest checkpoints to keep, besides the best.
      ema: decay of the exponential moving average of the parameters, from 0 (off) to below 1; may be a schedule.
      precision: "mixed" computes networks in bfloat16, "bfloat16" also stores parameters in it; None is float32.
      max_bad_steps: number of consecutive steps with a non-finite loss after which the run fails.
      init_from: run directory whose parameters the run starts from; empty for none.
    """

    steps: Annotated[int | None, _COUNTED] = None
    epochs: Annotated[int | None, _COUNTED] = None
    batch_size: Annotated[int, Limits(least=1, most=10_000_000)] = 128
    accumulate: Size | None = None
    log_every: Size = 100
    eval_every: Count = 1000
    checkpoint_every: Size = 1000
    keep: Annotated[int, _COUNTED] = 2
    ema: Annotated[float | str, Limits(least=0, below=1, varies=True)] = 0.0
    precision: str | None = None
    max_bad_steps: Annotated[int, _COUNTED] = 10
    init_from: str | None = ""


@dataclasses.dataclass(frozen=True)
class Eval:
    """The evaluation of a run while it trains.

    Args:
      metrics: files in ae_jax/evaluation/metrics.
      criterion: name of the metric by which the best checkpoint is chosen on the validation split; empty for none.
    """

    metrics: tuple[str, ...] = ("elbo", "collapse")
    criterion: str | None = "elbo"


@dataclasses.dataclass(frozen=True)
class Mesh:
    """The mesh of devices that share the work.

    Args:
      data: number of data-parallel shards of a batch; -1 uses all remaining devices.
      fsdp: number of shards of the parameters and the optimiser's state.
    """

    data: int = -1
    fsdp: int = 1


@dataclasses.dataclass(frozen=True)
class Expected:
    """A value of a metric that somebody else published, or a baseline, for reproduce.py.

    Args:
      source: who obtained the value, or what the baseline is.
      value: the published value, written as it was published; or else row and metric name a baseline.
      se: standard error of the published value, if it is known.
      row: row of the table to compare with; by default this one.
      metric: metric of that row; by default this one.
      times: factor by which that row's metric is multiplied.
      plus: number that is added to that row's metric.
      judged: whether the row passes or fails by this value; otherwise the value is only shown.
      explained: why the result is better than the published value; without it, a much better result is flagged.
      paper: the number that a paper reports for a longer training. It is shown in the paper's table.
    """

    source: str
    value: float | None = None
    se: float | None = None
    row: str | None = None
    metric: str | None = None
    times: float | None = None
    plus: float | None = None
    judged: bool | None = None
    explained: str | None = None
    paper: float | None = None


@dataclasses.dataclass(frozen=True)
class Regression:
    """Our own earlier value of a metric, for reproduce.py.

    Args:
      value: mean over the seeds.
      sd: standard deviation over the seeds, if there were several.
      seeds: number of seeds.
    """

    value: float
    sd: float | None = None
    seeds: int = 1


@dataclasses.dataclass(frozen=True)
class Top:
    """The keys and sections outside of the sections above.

    Args:
      seed: seed of the parameters, the order of examples and the noise.
      weights: weight of each term of the objective; a number or a schedule.
      expected: values of metrics that others published, and baselines, for reproduce.py.
      regression: our own earlier values of metrics, for reproduce.py.
    """

    seed: Annotated[int, Limits(least=0, most=2**32 - 1)] = 0  # NumPy allows no larger seed
    weights: Mapping[str, Any] = dataclasses.field(default_factory=lambda: {"reconstruction": 1.0, "kl": 1.0})
    expected: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    regression: Mapping[str, Any] = dataclasses.field(default_factory=dict)


SECTIONS = {
    "data": Data,
    "corruption": Corruption,
    "model": Model,
    "objective": Objective,
    "optimizer": Optimizer,
    "train": Train,
    "eval": Eval,
    "mesh": Mesh,
}
# The sections of which every config has all the keys above. Keys of the other sections may be absent, because another
# model, objective or optimiser may not read them.
ALWAYS = ("data", "train", "eval", "mesh")
# The sections that may have further keys.
OPEN = ("data", "corruption", "model", "objective", "optimizer", "weights", "expected", "regression")


def defaults() -> dict[str, Any]:
    """Return a config of all keys above, with their defaults."""
    return {**dataclasses.asdict(Top()), **{name: dataclasses.asdict(kind()) for name, kind in SECTIONS.items()}}


def fields(section: str) -> dict[str, Any]:
    """Return {key: annotation} of a section's keys above; section "" is the top level."""
    kind = SECTIONS[section] if section else Top
    return {field.name: field.type for field in dataclasses.fields(kind)}
