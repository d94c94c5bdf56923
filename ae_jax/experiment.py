"""From a config to an experiment: the one place where names become objects."""

import dataclasses
import functools
import inspect
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import numpy as np
from ml_collections import ConfigDict

from ae_jax import (
    configuration,
    corruptions,
    data,
    errors,
    lookup,
    mesh,
    objectives,
    optim,
    precision,
    streaming,
    train,
)
from ae_jax.batching import Batches, present
from ae_jax.errors import UserError
from ae_jax.types import DataSpec

# The parts of a model that a config names: {key of section model: (folder, what the module exposes)}.
_NETS = {"encoder": ("nets", "Encoder"), "decoder": ("nets", "Decoder")}
_PARTS = {
    "likelihood": ("likelihoods", "Likelihood"),
    "posterior": ("posteriors", "Posterior"),
    "prior": ("priors", "Prior"),
}


@dataclasses.dataclass(frozen=True)
class Experiment:
    """A config's objects. Nothing here has touched the data unless `spec` was unknown."""

    config: Any
    spec: DataSpec
    model: Any
    likelihood: Any  # the model's, which says what it needs of the data
    objective: Any
    tx: Any  # hparams["optimizer"] -> Optax transformation
    prepare: Any
    hparams: Any

    @functools.cached_property
    def splits(self) -> dict[str, Mapping[str, Any]]:
        """{"train", "validation"?, "test"}: arrays as stored."""
        return load_splits(self.config.data, self.config.seed)[1]

    def batches(self, split: str) -> Batches:
        return self._batches(self.splits[split], self.config.train.batch_size)

    def _batches(self, arrays, batch_size, *finish) -> Batches:
        kind = streaming.Streamed if streaming.wanted(self.config.data.get("stream"), arrays) else Batches
        return kind(arrays, self.spec, batch_size, *finish)

    def held_out(self, arrays, batch_size: int, seed: int = 0) -> Batches:
        """Batches for evaluation, prepared with keys of `seed` alone: the same noise each time."""
        key = jax.random.key(seed)
        corruption = train.schedules.at(self.hparams["corruption"], 0)

        def finish(step, batch):
            return self.prepare(train.streams(jax.random.fold_in(key, step)), batch, corruption)

        return self._batches(arrays, min(batch_size, len(arrays["x"])), finish)

    @property
    def steps(self) -> int:
        """How many steps the config asks for."""
        section = self.config.train
        return section.steps or section.epochs * self.batches("train").steps_per_epoch

    def init(self, key: Any, hparams: Any = None) -> train.TrainState:
        """The state before the first step, from `key` and `hparams` (default: this experiment's own)."""
        return self._init(key, self._first_example(), self.hparams if hparams is None else hparams)

    def _first_example(self) -> dict[str, Any]:
        """What the state is made from: its values matter only where the likelihood starts from the data."""
        batch = self.example()
        if not self.likelihood.needs_mean:
            return batch
        mean = present(self.splits["train"]["x"].mean(axis=0, dtype=np.float64), self.spec)
        return {**batch, "mean": np.broadcast_to(mean, batch["x"].shape)}

    @functools.cached_property
    def _init(self):
        return jax.jit(train.make_init(self.model, self.tx, self.prepare, self._averages, self._precision))

    def state_shapes(self) -> train.TrainState:
        return jax.eval_shape(self._init, jax.random.key(0), self.example(), self.hparams)

    @property
    def step(self):
        prepare = corruptions.transposing(self.prepare, self.config.data.get("transpose", 0))
        samples, pieces = self.config.objective.num_samples, self.config.train.get("accumulate") or 1
        return train.make_train_step(
            self.model, self.objective, self.tx, prepare, samples, pieces, kind=self._precision
        )

    def check(self) -> None:
        """Traces one step without running it. Raises UserError where the parts do not fit, as terms without weights."""
        mesh.check_batch(self.config.train.batch_size)
        state = self.state_shapes()
        jax.eval_shape(self.step, state, self.example(self.config.train.batch_size), self.hparams)
        self.batches("train")

    def shapes(self) -> "Shapes":
        """Batches for evaluation, two examples long, of which only the shapes are known."""
        example = self.example()
        return Shapes(self.spec, jax.eval_shape(self.held_out(example, 2).finish, np.int32(0), example))

    @property
    def _precision(self) -> str | None:
        return self.config.train.get("precision")

    @property
    def _averages(self) -> bool:
        return self.config.train.ema != 0

    def example(self, count: int = 2) -> dict[str, Any]:
        """A batch of zeros."""
        x = np.zeros((count, *self.spec.shape), np.float32)
        labels = {"label": np.zeros(count, np.int32)} if self.spec.classes else {}
        return {"x": x, "inputs": x, "mask": np.ones(count, np.float32), **labels}


@dataclasses.dataclass(frozen=True)
class Shapes:
    """In place of a split's `Batches`: one batch, {name: its shape}."""

    spec: DataSpec
    batch: Mapping[str, Any]

    def __iter__(self):
        yield self.batch


def build(config: Any, spec: DataSpec | None = None) -> Experiment:
    """The experiment of a config; with a stored `spec`, without opening the data.

    Raises UserError for an unknown name, a key that nothing reads, or terms and weights that do not match.
    """
    configuration.check(config)
    precision.check(config.train.get("precision"))
    splits = None
    if spec is None:
        spec, splits = load_splits(config.data, config.seed)
    model, likelihood = build_model(config.model, spec)
    objective, _ = _objective(config.objective)
    tx, _ = optim.make_tx(config.optimizer)
    binarize = config.data.binarize
    if binarize not in corruptions.BINARIZATIONS:
        raise errors.unknown("data.binarize", binarize, corruptions.BINARIZATIONS)
    for key, none, kind in (("binarize", "none", "pixels or reals"), ("transpose", 0, "events")):
        if config.data.get(key, none) != none and spec.kind not in kind:
            raise UserError(f"data.{key}={config.data[key]!r} of {spec.kind}\nexpected {none!r}: it is for {kind}")
    dequantized = likelihood.needs_dequantised and spec.kind == "pixels" and binarize == "none"
    corrupt, _ = corruptions.find(config.corruption)
    prepare = corruptions.make_prepare(spec, binarize, dequantized, corrupt)
    built = Experiment(config, spec, model, likelihood, objective, tx, prepare, train.make_hparams(**numbers(config)))
    if splits is not None:
        built.__dict__["splits"] = splits  # the cached property, already computed
    return built


def numbers(config: Any) -> dict[str, Any]:
    """What `train.make_hparams` takes, the numbers and schedules as the config has them. Raises UserError."""
    found = {"corruption": corruptions.find(config.corruption)[1], "objective": _objective(config.objective)[1]}
    optimizer = optim.make_tx(config.optimizer)[1]
    varying = _varying(lookup.find("models", config.model.name, "Model"))
    found["model"] = {key: value for key, value in config.model.items() if key in varying}
    return {"weights": dict(config.weights), **found, "optimizer": optimizer, "ema": config.train.ema}


def _varying(family: Any) -> tuple[str, ...]:
    """The keys of section model that are numbers of this family's hparams, and no fields of its modules."""
    return getattr(family, "varying", ())


def data_depend_on_seed(config: Any) -> bool:
    """Whether runs of other seeds see other data, rather than the same in another order."""
    return config.data.binarize == "fixed"


def load_splits(section: Any, seed: int) -> tuple[DataSpec, dict[str, Any]]:
    """(spec, {"train", "validation"?, "test"}) of a data section. Raises UserError."""
    load = lookup.find("data", section.source, "load")
    readable = ("name", "dir", "path", "split", "cache", "size")
    accepted = [key for key in readable if key in inspect.signature(load).parameters]
    for key in readable[1:]:
        if section.get(key) and key not in accepted:
            raise UserError(
                f"data.{key}={section[key]!r} is read by nothing: data source {section.source!r} does not take it\n"
                f"it takes: {', '.join(f'data.{name}' for name in accepted) or 'nothing'}"
            )
    spec, splits = load(**{key: section[key] for key in accepted if section.get(key)})
    train_split, held = splits["train"], section.validation
    n = len(train_split["x"])
    if held:
        if held >= n:
            raise UserError(f"data.validation={held} of {n} training examples\nexpected less than {n}")
        splits["validation"] = {key: values[n - held :] for key, values in train_split.items()}
        splits["train"] = {key: values[: n - held] for key, values in train_split.items()}
    if section.get("labelled") is not None:
        splits["train"] = _with_labels(splits["train"], section.labelled)
    if section.train_on_test:
        both = {key: np.concatenate([splits["train"][key], splits["test"][key]]) for key in splits["train"]}
        splits["train"] = both
    if section.binarize == "fixed":
        spec, splits = corruptions.binarize_once(spec, splits, seed)
    return spec, splits


def _with_labels(split: Mapping[str, Any], count: int) -> dict[str, Any]:
    """The split with the labels of its first `count` examples only; the others have -1, as the unknown class."""
    label = split.get("label")
    if label is None or count > len(label):
        raise UserError(f"data.labelled={count} of {0 if label is None else len(label)} labels\nexpected at most those")
    return {**split, "label": np.where(np.arange(len(label)) < count, label, -1).astype(label.dtype)}


def other_splits(built: Experiment, other: str) -> dict[str, Any]:
    """The splits of "NAME" or "SOURCE:PATH". Raises UserError where they do not fit the model."""
    source, _, path = other.partition(":")
    fresh = {"name": other, "dir": "", "path": "", "validation": 0, "labelled": None, **data.named(other)}
    section = ConfigDict({**built.config.data, **fresh})
    if path or source in lookup.choices("data"):
        section.source = source
    takes = inspect.signature(lookup.find("data", section.source, "load")).parameters
    if path:
        section["path" if "path" in takes else "dir"] = path
    section.update({key: None for key in ("cache", "size") if key not in takes})
    spec, splits = load_splits(section, built.config.seed)
    if spec.shape != built.spec.shape or spec.kind != built.spec.kind:
        raise UserError(
            f"--data={other} has examples {spec.shape} of {spec.kind}\n"
            f"this model was trained on {built.spec.shape} of {built.spec.kind}"
        )
    return splits


def build_model(section: Any, spec: DataSpec) -> tuple[Any, Any]:
    """(model, its likelihood module) from a model section: each part gets the options that it has a field for."""
    options = dict(section)
    family = lookup.find("models", options.pop("name"), "Model")
    fields, varying = _parameters(family), _varying(family)
    options = {key: value for key, value in options.items() if key not in varying}
    parts, read = {}, set()
    for role, (folder, attribute) in {**_NETS, **_PARTS}.items():
        if role in options and role in fields:
            part = lookup.find(folder, options.pop(role), attribute)
            mine = _options_for(part, role, options)
            read |= set(mine)
            arguments = {key.removeprefix(f"{role}_"): value for key, value in mine.items()}
            parts[role] = _net(role, part, arguments) if role in _NETS else functools.partial(part, **arguments)
    own = {key: value for key, value in options.items() if key in fields}
    unread = options.keys() - read - own.keys()
    if unread:
        key = sorted(unread)[0]
        valid = {*fields, *varying, *read, *(name for part in parts.values() for name in _parameters(part))} - {"spec"}
        raise UserError(
            f"config key 'model.{key}' is read by nothing{errors.nearest(key, valid)}\n"
            f"what this model reads: {', '.join(sorted(valid))}"
        )
    model = family(spec=spec, **parts, **own)
    return model, parts["likelihood"](spec)


def _net(role: str, part: Any, arguments: Mapping[str, Any]) -> nn.Module:
    if not (inspect.isclass(part) and issubclass(part, nn.Module)):
        raise UserError(f"model.{role} is {part!r}\nexpected a class of Linen modules")
    return part(**arguments)


def _parameters(part: Any) -> set[str]:
    """The names of the arguments of a class, a function, a module or a partial."""
    function = part if inspect.isclass(part) or inspect.isfunction(part) else getattr(part, "func", type(part))
    return set(inspect.signature(function).parameters) - {"parent", "name"}


def _options_for(part: Any, role: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that this part has a field for; `encoder_hidden` is `hidden` for the encoder alone."""
    fields = _parameters(part) - {"spec", "latent_dim"} if role in _PARTS else _parameters(part)
    special = {
        key: value
        for key, value in options.items()
        if key.removeprefix(f"{role}_") in fields and key.startswith(f"{role}_")
    }
    shared = {key: value for key, value in options.items() if key in fields and f"{role}_{key}" not in special}
    return {**shared, **special}


def _objective(section: Any) -> tuple[Any, dict[str, Any]]:
    """(function, its numbers): words and whole numbers are bound here, others vary in hparams."""
    options = {key: value for key, value in section.items() if key not in ("name", "num_samples") and value is not None}
    function = lookup.function(objectives, section.name, ("outputs", "batch"), "objective")
    accepted = dict(list(inspect.signature(function).parameters.items())[2:])
    for key in options:
        if key not in accepted:
            raise errors.unknown(f"option of objective {section.name!r}", key, accepted)
    is_whole = lambda key, value: isinstance(value, int) and isinstance(accepted[key].default, int)
    is_fixed = lambda key, value: isinstance(accepted[key].default, str) or is_whole(key, value)
    fixed = {key: value for key, value in options.items() if is_fixed(key, value)}
    varying = {key: value for key, value in options.items() if key not in fixed}
    return functools.partial(function, **fixed), varying
