"""From a config to an experiment: the one place where names become objects."""

import dataclasses
import functools
import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from ae_jax import objectives
from ae_jax.core import errors, lookup, schedules
from ae_jax.core.errors import UserError
from ae_jax.core.types import FORMAT, DataSpec
from ae_jax.data import corruptions, mapped, splits, streaming
from ae_jax.data.batching import Batches, check_support, present
from ae_jax.devices import mesh
from ae_jax.experiments import parts, ranges, trusted
from ae_jax.experiments.open_run import RunOpener
from ae_jax.training import optim, precision
from ae_jax.training.step import TrainState, make_hparams, make_init, make_train_step, streams


@dataclasses.dataclass(frozen=True)
class Experiment:
    """A config's objects. Nothing here has touched the data unless `spec` was unknown."""

    config: Any
    spec: DataSpec
    model: Any
    objective: Any
    tx: Any  # hparams["optimizer"] -> Optax transformation
    prepare: Any
    hparams: Any
    format: int  # the number of the rules by which the data are read, see `types.FORMAT`
    trust: tuple[str, ...] = ()  # modules that runs opened beside this one may name, see `trusted`

    @functools.cached_property
    def splits(self) -> dict[str, Mapping[str, Any]]:
        """{"train", "validation"?, "test"}: arrays as stored."""
        return splits.load(self.config.data, self.config.seed, self.format, open_run=self.open_run)[1]

    @property
    def open_run(self) -> RunOpener:
        """The function that opens a run beside this one."""
        return RunOpener(self.trust)

    def batches(self, split: str) -> Batches:
        return self._batches(self.splits[split], self.config.train.batch_size)

    def _batches(self, arrays, batch_size, *finish) -> Batches:
        kind = streaming.Streamed if streaming.wanted(self.config.data.get("stream"), arrays) else Batches
        return kind(arrays, self.spec, batch_size, *finish)

    def held_out(self, arrays, batch_size: int, seed: int = 0) -> Batches:
        """Batches for evaluation, prepared with keys of `seed` alone: the same noise each time, as strong as schedules
        make it in the end.
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
        """How many steps the config asks for."""
        section = self.config.train
        return section.steps or section.epochs * self.batches("train").steps_per_epoch

    def init(self, key: Any, hparams: Any = None) -> TrainState:
        """The state before the first step, from `key` and `hparams` (default: this experiment's own)."""
        return self._init(key, self._first_example(), self.hparams if hparams is None else hparams)

    def _first_example(self) -> dict[str, Any]:
        """Return the batch that the state is made from, with as much of the training data as the model starts from."""
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
        return jax.eval_shape(self._init, jax.random.key(0), self.example(), self.hparams)

    @property
    def step(self):
        prepare = corruptions.transposing(self.prepare, self.config.data.get("transpose", 0))
        samples, pieces = self.config.objective.num_samples, self.config.train.get("accumulate") or 1
        return make_train_step(self.model, self.objective, self.tx, prepare, samples, pieces, kind=self._precision)

    def check(self) -> None:
        """Traces one step without running it. Raises UserError where the parts do not fit, as terms without weights,
        or data without a likelihood.
        """
        mesh.check_batch(self.config.train.batch_size)
        for name, arrays in self.splits.items():
            check_support(arrays["x"], self.spec, self.model.support, name)
        state = self.state_shapes()
        jax.eval_shape(self.step, state, self.example(self.config.train.batch_size), self.hparams)
        self.batches("train")

    def shapes(self) -> "Shapes":
        """Batches for evaluation, two examples long, of which only the shapes are known."""
        example = self.example()
        return Shapes(self.spec, jax.eval_shape(self.held_out(example, 2).finish, np.int32(0), example))

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of what the model reads: that of the data, corrupted; smaller, for super-resolution."""
        return self.shapes().batch["inputs"].shape[1:]

    @property
    def _precision(self) -> str | None:
        return self.config.train.get("precision")

    @property
    def _averages(self) -> bool:
        return self.config.train.ema != 0

    def example(self, count: int = 2) -> dict[str, Any]:
        """A batch of zeros."""
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
    """In place of a split's `Batches`: one batch, {name: its shape}."""

    spec: DataSpec
    batch: Mapping[str, Any]

    def __iter__(self):
        yield self.batch

    def spread(self, count: int) -> tuple["Shapes", None]:
        return self, None


def build(config: Any, spec: DataSpec | None = None, format: int = FORMAT, *, trust: Sequence[str] = ()) -> Experiment:
    """The experiment of a config; with a stored `spec`, without opening the data.

    All that the config names is imported: `trusted.check` comes before this where the config was read from disk.
    format: that of the run if there is one, see `types.FORMAT`.
    trust: modules that runs opened beside this one may name, as those that the config names may be.
    Raises UserError for an unknown name, a key that nothing reads, or terms and weights that do not match.
    """
    ranges.check(config)
    precision.check(config.train.get("precision"))
    trust = (*trust, *trusted.modules(config))
    open_run, examples = RunOpener(trust), None
    if spec is None:
        spec, examples = splits.load(config.data, config.seed, format, open_run=open_run)
    model = parts.build(config.model, spec, open_run)
    objective, _ = _objective(config.objective, open_run)
    tx, _ = optim.make_tx(config.optimizer)
    binarize = config.data.binarize
    if binarize not in corruptions.BINARIZATIONS:
        raise errors.unknown("data.binarize", binarize, corruptions.BINARIZATIONS)
    for key, none, kind in (("binarize", "none", "pixels or reals"), ("transpose", 0, "events")):
        if config.data.get(key, none) != none and spec.kind not in kind:
            raise UserError(f"data.{key}={config.data[key]!r} of {spec.kind}\nexpected {none!r}: it is for {kind}")
    dequantized = model.needs_dequantised and spec.kind == "pixels" and binarize == "none"
    corrupt, _ = corruptions.find(config.corruption)
    prepare = corruptions.make_prepare(spec, binarize, dequantized, corrupt)
    hparams = make_hparams(**numbers(config))
    built = Experiment(config, spec, model, objective, tx, prepare, hparams, format, trust)
    if examples is not None:
        built.__dict__["splits"] = examples  # the cached property, already computed
    return built


def numbers(config: Any) -> dict[str, Any]:
    """What `train.make_hparams` takes, the numbers and schedules as the config has them. Raises UserError."""
    found = {"corruption": corruptions.find(config.corruption)[1], "objective": _objective(config.objective)[1]}
    optimizer = optim.make_tx(config.optimizer)[1]
    varying = parts.varying(parts.family_of(config.model.name))
    found["model"] = {key: value for key, value in config.model.items() if key in varying and value is not None}
    weights = {term: weight for term, weight in config.weights.items() if weight is not None}
    return {"weights": weights, **found, "optimizer": optimizer, "ema": config.train.ema}


def _objective(section: Any, open_run: Any = None) -> tuple[Any, dict[str, Any]]:
    """Return (function, its numbers): words and whole numbers are bound here, others vary in hparams.

    The parameter `open_run` is bound too, where the function has it; `key` is an argument that each step gives.
    """
    options = {key: value for key, value in section.items() if key not in ("name", "num_samples") and value is not None}
    function = lookup.function(objectives, section.name, ("outputs", "batch"), "objective")
    parameters = dict(list(inspect.signature(function).parameters.items())[2:])
    accepted = {key: parameter for key, parameter in parameters.items() if key not in ("key", "open_run")}
    for key in options:
        if key not in accepted:
            raise errors.unknown(f"option of objective {section.name!r}", key, accepted)
    is_whole = lambda key, value: isinstance(value, int) and isinstance(accepted[key].default, int)
    is_fixed = lambda key, value: isinstance(accepted[key].default, str) or is_whole(key, value)
    fixed = {key: value for key, value in options.items() if is_fixed(key, value)}
    varying = {key: value for key, value in options.items() if key not in fixed}
    given = {"open_run": open_run} if "open_run" in parameters else {}
    return functools.partial(function, **fixed, **given), varying
