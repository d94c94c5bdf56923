"""Build an experiment from a config: its data, model, objective, optimiser and schedules."""

import dataclasses
import functools
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from ae_jax.core import errors, schedules
from ae_jax.core.errors import UserError
from ae_jax.core.types import FORMAT, DataSpec
from ae_jax.data import corruptions, mapped, splits, streaming
from ae_jax.data.batching import Batches, check_support, keyed, present
from ae_jax.devices import mesh
from ae_jax.experiments import checks, configuration, trusted
from ae_jax.experiments.open_run import RunOpener
from ae_jax.experiments.resolved import resolve
from ae_jax.training import optim, precision
from ae_jax.training.step import TrainState, make_hparams, make_init, make_train_step, streams


@dataclasses.dataclass(frozen=True)
class Experiment:
    """The objects that a config names. The data are not opened before they are needed.

    Args:
      config: the config, complete as `checks.complete` returns it.
      spec: the specification of one example.
      model: the model.
      objective: the function (outputs, batch, **hparams["objective"]) -> terms.
      tx: the function **hparams["optimizer"] -> Optax transformation.
      prepare: the function (keys, batch, hparams["corruption"]) -> batch that a model reads.
      hparams: the numbers and schedules, as `make_hparams` returns them.
      format: the version of the rules by which the data are read, see `types.FORMAT`.
      trust: modules that runs opened beside this one may name, see `trusted`.
      stored_in: the file that the config was read from, if any. Unknown keys then give a warning, not an error.
      opened: the splits, if they are open already.
    """

    config: Any
    spec: DataSpec
    model: Any
    objective: Any
    tx: Any
    prepare: Any
    hparams: Any
    format: int
    trust: tuple[str, ...] = ()
    stored_in: pathlib.Path | None = None
    opened: Mapping[str, Any] | None = None

    @functools.cached_property
    def splits(self) -> Mapping[str, Any]:
        """Return the arrays as stored, {"train", "validation"?, "test"}."""

        def load(config):
            return splits.load(config.data, config.seed, self.format, open_run=self.open_run, fitted=self.spec)[1]

        if self.opened is not None:
            return self.opened
        return _leniently(load, self.config, self.stored_in) if self.stored_in else load(self.config)

    @property
    def open_run(self) -> RunOpener:
        """Return the function that opens another run, which this one reads."""
        return RunOpener(self.trust)

    def batches(self, split: str) -> Batches:
        """Return the batches of a split, as training reads them."""
        return self._batches(self.splits[split], self.config.train.batch_size)

    def _batches(self, arrays, batch_size, *finish) -> Batches:
        """Return batches of arrays, which are streamed to the devices if they are too large."""
        # Both kinds give the same batches in the same order, so the choice does not change results.
        kind = streaming.Streamed if streaming.wanted(self.config.data.stream, arrays) else Batches
        return kind(arrays, self.spec, batch_size, *finish)

    def held_out(self, arrays, batch_size: int, seed: int = 0) -> Batches:
        """Return batches for evaluation, corrupted with the final values of the schedules.

        Args:
          arrays: {"x", "label"?}, as stored.
          batch_size: examples per device call.
          seed: the seed of the corruption's noise, which is the same each time.
        """
        # The metrics draw noise from the same seed. This stream must be independent of theirs.
        key = jax.random.fold_in(jax.random.key(seed), np.uint32(2**32 - 1))
        corruption = schedules.in_the_end(self.hparams["corruption"])

        def prepare(batch, key):
            return self.prepare(streams(key), batch, corruption)

        return self._batches(arrays, min(batch_size, len(arrays["x"])), keyed(prepare, key))

    def uncorrupted(self, split: str, batch_size: int, seed: int = 0) -> Batches:
        """Return the batches of a split for evaluation, with "x" itself as "inputs".

        Args: as for `held_out`.
        """
        arrays = self.splits[split]
        # The schedules, label masks and noise stay those of `held_out`; only the inputs are replaced.
        prepared = self.held_out(arrays, batch_size, seed)

        def finish(step, batch):
            batch = prepared.finish(step, batch)
            return {**batch, "inputs": batch["x"]}

        return dataclasses.replace(prepared, finish=finish)

    @property
    def steps(self) -> int:
        """Return the number of training steps."""
        section = self.config.train
        return section.steps or section.epochs * self.batches("train").steps_per_epoch

    def init(self, key: Any, hparams: Any = None) -> TrainState:
        """Return the state before the first step.

        Args:
          key: the random key of the parameters.
          hparams: those of another run of the same model; by default this config's own.
        """
        return self._init(key, self._first_example(), self.hparams if hparams is None else hparams)

    def _first_example(self) -> dict[str, Any]:
        """Return the batch from which the parameters are initialised.

        It holds zeros, unless the model's first values depend on data: the mean example, or a batch of examples.
        """
        if self.model.starts_from == "first_batch":
            train = self.batches("train")
            return next(iter(train.spread(train.batch_size)[0]))
        batch = self.example()
        if self.model.starts_from != "mean":
            return batch
        mean = present(mapped.mean(self.splits["train"]["x"]), self.spec)
        return {**batch, "mean": np.broadcast_to(mean, batch["x"].shape)}

    @functools.cached_property
    def _init(self):
        """Return the function that makes the first state, cached so that it compiles once."""
        return jax.jit(make_init(self.model, self.tx, self.prepare, self.config.train.ema != 0, self._precision))

    def state_shapes(self) -> TrainState:
        """Return the state before the first step as ShapeDtypeStructs; nothing is computed."""
        return jax.eval_shape(self._init, jax.random.key(0), self.example(), self.hparams)

    @property
    def step(self) -> Callable:
        """Make the training step, (state, batch, hparams) -> (state, metrics)."""
        prepare = corruptions.transposing(self.prepare, self.config.data.transpose or 0)
        samples, pieces = self.config.objective.num_samples, self.config.train.accumulate or 1
        return make_train_step(self.model, self.objective, self.tx, prepare, samples, pieces, kind=self._precision)

    def check(self) -> None:
        """Check that the parts fit together, by tracing one training step without running it.

        Raises:
          UserError: they do not; for instance a term has no weight, or the data lie outside the likelihood's support.
        """
        # Checks that read no parameters come first, because their errors name a key.
        mesh.check_batch(self.config.train.batch_size)
        for name, arrays in self.splits.items():
            check_support(arrays["x"], self.spec, self.model.support, name)
        state = self.state_shapes()
        optim.check_players(self.config.optimizer, state.params)
        jax.eval_shape(self.step, state, self.example(self.config.train.batch_size), self.hparams)
        self.batches("train")

    def shapes(self) -> "Shapes":
        """Return one batch for evaluation, of two examples, as ShapeDtypeStructs."""
        example = self.example()
        return Shapes(self.spec, jax.eval_shape(self.held_out(example, 2).finish, np.int32(0), example))

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Return the shape of one input of the model, smaller than x for super-resolution."""
        return self.shapes().batch["inputs"].shape[1:]

    @property
    def _precision(self) -> str | None:
        return self.config.train.precision

    def example(self, count: int = 2) -> dict[str, Any]:
        """Return a batch of zeros."""
        x = np.zeros((count, *self.spec.shape), np.float32)
        batch = {"x": x, "inputs": x, "mask": np.ones(count, np.float32)}
        batch["num_examples"] = np.full(count, count, np.float32)
        if self.spec.label_dim:
            batch["label"] = np.zeros((count, self.spec.label_dim), np.float32)
        elif self.spec.classes:
            batch["label"] = np.zeros(count, np.int32)
        return batch


@dataclasses.dataclass(frozen=True)
class Shapes:
    """One batch of shapes, in place of the `Batches` of a split.

    Args:
      spec: the specification of one example.
      batch: {name: its shape}.
    """

    spec: DataSpec
    batch: Mapping[str, Any]

    def __iter__(self):
        """Yield the one batch."""
        yield self.batch

    def spread(self, count: int) -> tuple["Shapes", None]:
        """Return the batch itself in place of `count` examples, as `Batches.spread` would."""
        return self, None


def build(
    config: Any, spec: DataSpec | None = None, format: int = FORMAT, *, trust: Sequence[str] = (), fitted: Any = None
) -> Experiment:
    """Build the experiment of a config.

    Building imports every module that the config names. Call `trusted.check` first on a config that was read from disk.

    Args:
      config: the config; keys that it lacks take their defaults.
      spec: the specification of one example, if known. The data are then not opened.
      format: the run's `types.FORMAT`, if the run exists.
      trust: modules that runs opened beside this one may name, beside those that the config names.
      fitted: the spec of a run that goes on, whose scaling of the data is kept.

    Raises:
      UnknownKey: the config has an unknown key.
      UserError: a name is unknown, a value is not allowed, or the model does not fit the data.
    """
    config = checks.complete(config)
    precision.check(config.train.precision)
    if config.data.binarize not in corruptions.BINARIZATIONS:
        raise errors.unknown("data.binarize", config.data.binarize, corruptions.BINARIZATIONS)
    trust = (*trust, *trusted.modules(config))
    open_run, examples = RunOpener(trust), None
    resolved = resolve(config, open_run)
    if spec is None:
        spec, examples = splits.load(config.data, config.seed, format, open_run=open_run, fitted=fitted)
    model = resolved.model.build(spec)
    _check_kind(config.data, spec)
    # Binarised pixels stay in {0, 1}, whatever the likelihood: noise between levels would undo the binarisation.
    dequantized = model.needs_dequantised and spec.kind == "pixels" and config.data.binarize == "none"
    return Experiment(
        config=config,
        spec=spec,
        model=model,
        objective=resolved.objective,
        tx=resolved.tx,
        prepare=corruptions.make_prepare(spec, config.data.binarize, dequantized, resolved.corrupt),
        hparams=make_hparams(**resolved.numbers),
        format=format,
        trust=trust,
        opened=examples,
    )


def build_stored(
    config: Any, spec: DataSpec, format: int, file: pathlib.Path, *, trust: Sequence[str] = ()
) -> Experiment:
    """Build the experiment of a config that was stored in `file`.

    An unknown key gives a warning. All other errors are those of `build`.

    Args: as for `build`; `file` is the file that holds the config.
    """
    built = _leniently(lambda config: build(config, spec, format, trust=trust), config, file)
    return dataclasses.replace(built, stored_in=file)


def _leniently(function: Callable, config: Any, file: pathlib.Path) -> Any:
    """Return `function(config)` without the config's unknown keys; warn about each of them."""
    while True:  # one more unknown key is found each time
        try:
            return function(config)
        except errors.UnknownKey as error:
            configuration.warn_unknown(error.key, file)
            config = configuration.without(config, error.key)


def _check_kind(data: Any, spec: DataSpec) -> None:
    """Raise UserError for a key of section data that does not apply to examples of this kind."""
    for key, off, kinds in (("binarize", "none", ("pixels", "reals")), ("transpose", 0, ("events",))):
        if data[key] and data[key] != off and spec.kind not in kinds:
            allowed = " or ".join(kinds)
            raise UserError(f"data.{key}={data[key]!r} is for {allowed}, and these data are {spec.kind}\nleave it out")


def numbers(config: Any) -> dict[str, Any]:
    """Return the arguments of `make_hparams` for a config, see `resolved.resolve`."""
    return resolve(config).numbers
