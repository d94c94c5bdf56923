"""From a config to an experiment: the one place where names become objects."""

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
from ae_jax.data.batching import Batches, check_support, present
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
      config: the config, with every key that is always there.
      spec: what an example looks like.
      model: the model.
      objective: the function (outputs, batch, **hparams["objective"]) -> terms.
      tx: the function **hparams["optimizer"] -> Optax transformation.
      prepare: the function (keys, batch, hparams["corruption"]) -> batch that a model reads.
      hparams: the numbers and schedules, as `make_hparams` returns them.
      format: the number of the rules by which the data are read, see `types.FORMAT`.
      trust: modules that runs opened beside this one may name, see `trusted`.
      opened: the splits, where they are open already.
      stored_in: the file that the config was read from, if any. Keys that nothing reads are then no error.
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
        """The arrays as stored: {"train", "validation"?, "test"}."""

        def load(config):
            return splits.load(config.data, config.seed, self.format, open_run=self.open_run, fitted=self.spec)[1]

        if self.opened is not None:
            return self.opened
        return _leniently(load, self.config, self.stored_in) if self.stored_in else load(self.config)

    @property
    def open_run(self) -> RunOpener:
        """The function that opens a run beside this one."""
        return RunOpener(self.trust)

    def batches(self, split: str) -> Batches:
        """Return the batches of a split, as training reads them."""
        return self._batches(self.splits[split], self.config.train.batch_size)

    def _batches(self, arrays, batch_size, *finish) -> Batches:
        kind = streaming.Streamed if streaming.wanted(self.config.data.stream, arrays) else Batches
        return kind(arrays, self.spec, batch_size, *finish)

    def held_out(self, arrays, batch_size: int, seed: int = 0) -> Batches:
        """Return batches for evaluation, whose noise is as strong as schedules make it in the end.

        Args:
          arrays: {"x", "label"?}, as stored.
          batch_size: examples per device call.
          seed: the noise depends on it alone, and is the same each time.
        """
        key = jax.random.fold_in(jax.random.key(seed), np.uint32(2**32 - 1))  # a metric of this seed draws other noise
        corruption = schedules.in_the_end(self.hparams["corruption"])

        def finish(step, batch):
            return self.prepare(streams(jax.random.fold_in(key, step)), batch, corruption)

        return self._batches(arrays, min(batch_size, len(arrays["x"])), finish)

    def uncorrupted(self, split: str, batch_size: int, seed: int = 0) -> Batches:
        """Return the batches of a split for evaluation, with "x" itself as "inputs"."""
        arrays = self.splits[split]
        prepared = self.held_out(arrays, batch_size, seed)

        def finish(step, batch):
            batch = prepared.finish(step, batch)
            return {**batch, "inputs": batch["x"]}

        return dataclasses.replace(prepared, finish=finish)

    @property
    def steps(self) -> int:
        """Tell how many steps the config asks for."""
        section = self.config.train
        return section.steps or section.epochs * self.batches("train").steps_per_epoch

    def init(self, key: Any, hparams: Any = None) -> TrainState:
        """Return the state before the first step, from a key and `hparams` or this config's own."""
        return self._init(key, self._first_example(), self.hparams if hparams is None else hparams)

    def _first_example(self) -> dict[str, Any]:
        """Return the batch that the state is made from, with the data that the model starts from."""
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
        return jax.jit(make_init(self.model, self.tx, self.prepare, self._averages, self._precision))

    def state_shapes(self) -> TrainState:
        """Return the state before the first step as shapes alone."""
        return jax.eval_shape(self._init, jax.random.key(0), self.example(), self.hparams)

    @property
    def step(self) -> Callable:
        """The function step(state, batch, hparams) -> (state, metrics)."""
        prepare = corruptions.transposing(self.prepare, self.config.data.transpose or 0)
        samples, pieces = self.config.objective.num_samples, self.config.train.accumulate or 1
        return make_train_step(self.model, self.objective, self.tx, prepare, samples, pieces, kind=self._precision)

    def check(self) -> None:
        """Trace one step without running it.

        Raises:
          UserError: the parts do not fit, as terms without weights, or data without a likelihood.
        """
        mesh.check_batch(self.config.train.batch_size)
        for name, arrays in self.splits.items():
            check_support(arrays["x"], self.spec, self.model.support, name)
        state = self.state_shapes()
        optim.check_players(self.config.optimizer, state.params)
        jax.eval_shape(self.step, state, self.example(self.config.train.batch_size), self.hparams)
        self.batches("train")

    def shapes(self) -> "Shapes":
        """Return batches for evaluation, two examples long, of which only the shapes are known."""
        example = self.example()
        return Shapes(self.spec, jax.eval_shape(self.held_out(example, 2).finish, np.int32(0), example))

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input of the model; for super-resolution it is smaller than the data's."""
        return self.shapes().batch["inputs"].shape[1:]

    @property
    def _precision(self) -> str | None:
        return self.config.train.precision

    @property
    def _averages(self) -> bool:
        return self.config.train.ema != 0

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
      spec: what an example looks like.
      batch: {name: its shape}.
    """

    spec: DataSpec
    batch: Mapping[str, Any]

    def __iter__(self):
        yield self.batch

    def spread(self, count: int) -> tuple["Shapes", None]:
        return self, None


def build(
    config: Any,
    spec: DataSpec | None = None,
    format: int = FORMAT,
    *,
    trust: Sequence[str] = (),
    fitted: DataSpec | None = None,
) -> Experiment:
    """Build the experiment of a config.

    All that the config names is imported: `trusted.check` comes before this where the config was read from disk.

    Args:
      config: the config; a key that it lacks has its default.
      spec: what the examples look like, where that is known. The data are then not opened.
      format: that of the run if there is one, see `types.FORMAT`.
      trust: modules that runs opened beside this one may name, as those that the config names may be.
      fitted: the spec of a run that goes on, whose scaling of the data is kept.

    Raises:
      UnknownKey: the config has a key that nothing reads.
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
    """Build the experiment of a config that was stored in a file.

    A key that nothing reads gets a warning. Otherwise the arguments and errors are those of `build`.
    """
    built = _leniently(lambda config: build(config, spec, format, trust=trust), config, file)
    return dataclasses.replace(built, stored_in=file)


def _leniently(function: Callable, config: Any, file: pathlib.Path) -> Any:
    """Return `function(config)` without the keys that nothing reads; warn for each of them."""
    while True:
        try:
            return function(config)
        except errors.UnknownKey as error:
            configuration.warn_unknown(error.key, file)
            config = configuration.without(config, error.key)


def _check_kind(data: Any, spec: DataSpec) -> None:
    """Raise UserError for a key of section data that is for examples of another kind."""
    for key, off, kinds in (("binarize", "none", ("pixels", "reals")), ("transpose", 0, ("events",))):
        if data[key] and data[key] != off and spec.kind not in kinds:
            raise UserError(
                f"data.{key}={data[key]!r} is for {' or '.join(kinds)}, and these data are {spec.kind}\nleave it out"
            )


def numbers(config: Any) -> dict[str, Any]:
    """Return what `make_hparams` takes of a config. Raise as `resolved.resolve` does."""
    return resolve(config).numbers
