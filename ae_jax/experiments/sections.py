"""The sections of a config: their keys, and the meaning, default and allowed values of each.

Train, eval and mesh have no other keys than those below. The others have further ones, which depend on the names that
are chosen in them: a data source, a model and its parts, an objective, an optimiser, a corruption.
"""

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Any

from ae_jax.core.forms import Count, Limits, Number, Size


@dataclasses.dataclass(frozen=True)
class Data:
    """The examples of a run and their splits. The keywords of the data source are further keys.

    Args:
      name: name of the data set, such as mnist. Setting it also sets source, dir and size.
      source: file in ae_jax/data/sources, or package.module:Name, that reads the examples.
      dir: folder of the data set, for sources that read one.
      path: file or folder of the user's own examples, for sources that read them.
      split: what to train and to test on, as the source describes it.
      validation: number of training examples that are held out for validation.
      size: pixels a side to which images are brought, or height and width, for sources that can; None leaves them as
        they are.
      scale: how values are scaled: "none"; "minmax", to [0, 1]; "standardize", to mean 0 and standard deviation 1. The
        scaling is fitted to the training split, column by column or channel by channel, and results are scaled back.
      clip: whether scaled values outside [0, 1] are moved to its ends, as those of test examples may lie.
      binarize: "none"; "dynamic" draws pixels in {0, 1} afresh at each presentation; "fixed" draws them once, by seed.
      transpose: melodies are moved by up to so many semitones either way, at random; 0 leaves them as they are.
      cache: folder for decoded arrays; by default ~/.cache/ae_jax, or below $XDG_CACHE_HOME.
      train_on_test: whether to train on the test examples too, as some published numbers do.
      labelled: number of training examples that keep their label, evenly over the split; None keeps all.
      stream: whether to read examples from memory or disk while training, not from the device; None does so for a
        memory-mapped file above 256 MB, and for what takes more than half of the devices' memory.
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
    transpose: Count | None = 0
    cache: str | None = ""
    train_on_test: bool | None = False
    labelled: Count | None = None
    stream: bool | None = None


@dataclasses.dataclass(frozen=True)
class Corruption:
    """The corruption of the encoder's inputs. The corruption's options are further keys.

    Args:
      name: function in ae_jax/data/corruptions.py, or package.module:name; "none" leaves inputs as they are.
      clip: whether corrupted inputs are kept in [0, 1].
    """

    name: str = "none"
    clip: bool | None = None


@dataclasses.dataclass(frozen=True)
class Model:
    """The network. The options of its parts are further keys.

    A key such as `encoder_hidden` is `hidden` for the encoder alone.

    Args:
      name: file in ae_jax/models, or package.module:Name, that defines the model.
      encoder: file in ae_jax/models/nets, or package.module:Name, that defines the encoder.
      decoder: file in ae_jax/models/nets, or package.module:Name, that defines the decoder.
      likelihood: file in ae_jax/models/likelihoods, or package.module:Name: the distribution over x given the latent.
      latent_dim: size of the latent; 0 takes the features of a deterministic encoder themselves.
    """

    name: str | None = "ae"
    encoder: str | None = "mlp"
    decoder: str | None = "mlp"
    likelihood: str | None = "bernoulli"
    latent_dim: Count | None = 2


@dataclasses.dataclass(frozen=True)
class Objective:
    """The objective that training minimises. The objective's options are further keys.

    Args:
      name: function in ae_jax/objectives, or package.module:name.
      num_samples: number of samples of the latent for each example.
      free_bits: option of the ELBO, for which see `ae_jax.objectives.elbo`; None switches it off.
      capacity: option of the ELBO, for which see `ae_jax.objectives.elbo`; None switches it off.
    """

    name: str = "elbo"
    num_samples: Size = 1
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
    """The length of the training, and what it writes. Exactly one of steps and epochs is set.

    Args:
      steps: number of training steps.
      epochs: number of passes over the training examples; the last batch of a pass is filled up and masked.
      batch_size: number of examples in a step.
      accumulate: number of pieces of a batch whose gradients are added up to save memory; None for one piece.
      log_every: steps between lines of metrics.
      eval_every: steps between evaluations; 0 evaluates at the end only.
      checkpoint_every: steps between checkpoints.
      keep: number of newest checkpoints to keep, besides the best.
      ema: decay of the exponential moving average of the parameters, from 0 (off) to below 1; may be a schedule.
      precision: "mixed" computes networks in bfloat16, "bfloat16" stores parameters so too; None is float32.
      max_bad_steps: number of steps in a row without a finite loss after which the run fails.
      init_from: run directory whose parameters the run starts from; empty for none.
    """

    steps: Size | None = None
    epochs: Size | None = None
    batch_size: Size = 128
    accumulate: Size | None = None
    log_every: Size = 100
    eval_every: Count = 1000
    checkpoint_every: Size = 1000
    keep: Size = 2
    ema: Annotated[float | str, Limits(least=0, below=1, varies=True)] = 0.0
    precision: str | None = None
    max_bad_steps: Size = 10
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
      data: number of parts of a batch, each computed apart; -1 takes all devices that are left.
      fsdp: number of parts into which parameters and the optimiser's state are cut.
    """

    data: int = -1
    fsdp: int = 1


@dataclasses.dataclass(frozen=True)
class Expected:
    """A published or wanted value of a metric, for reproduce.py.

    Args:
      source: who obtained the value, or why it is wanted.
      value: the value; or else row and metric name another value that was obtained here.
      row: row of the table that is compared with; by default this one.
      metric: metric of that row; by default this one.
      times: factor on that row's metric.
      plus: summand to that row's metric.
      tolerance: by how much the metric may fall short.
      suspicious: by how much the metric may be better, before something else was measured.
      judged: whether the value decides about the row, or only stands beside it.
      paper: a paper's own number.
    """

    source: str
    value: float | None = None
    row: str | None = None
    metric: str | None = None
    times: float | None = None
    plus: float | None = None
    tolerance: float | None = None
    suspicious: float | None = None
    judged: bool | None = None
    paper: float | None = None


@dataclasses.dataclass(frozen=True)
class Top:
    """The keys and sections outside of the sections above.

    Args:
      seed: seed of parameters, order of examples and noise.
      weights: weight of each term of the objective; a number or a schedule.
      expected: expected values of metrics, for reproduce.py.
    """

    seed: Annotated[int, Limits(least=0, most=2**32 - 1)] = 0  # NumPy takes no larger one
    weights: Mapping[str, Any] = dataclasses.field(default_factory=lambda: {"reconstruction": 1.0, "kl": 1.0})
    expected: Mapping[str, Any] = dataclasses.field(default_factory=dict)


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
# The sections of which every config has all the keys above; those of the others belong to whatever is named there.
ALWAYS = ("data", "train", "eval", "mesh")
# The sections that may have further keys.
OPEN = ("data", "corruption", "model", "objective", "optimizer", "weights", "expected")


def defaults() -> dict[str, Any]:
    """Return a config of all keys that are always there, with their defaults."""
    return {**dataclasses.asdict(Top()), **{name: dataclasses.asdict(kind()) for name, kind in SECTIONS.items()}}


def fields(section: str) -> dict[str, Any]:
    """Return {key: annotation} of the keys that are always in a section; "" is the top level."""
    kind = SECTIONS[section] if section else Top
    return {field.name: field.type for field in dataclasses.fields(kind)}
