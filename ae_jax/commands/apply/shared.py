"""What all tasks share: reading files, computing in batches, writing results."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ae_jax.commands.apply import results, userfiles
from ae_jax.commands.apply.results import Form
from ae_jax.commands.apply.userfiles import Examples
from ae_jax.core import lookup
from ae_jax.core.distributions import centre
from ae_jax.core.errors import UserError
from ae_jax.core.types import DataSpec
from ae_jax.data.music import attributes as melody_attributes
from ae_jax.evaluation import requirements

_CORPUS = 10_000  # training examples from which an attribute's direction is made


@dataclasses.dataclass(frozen=True)
class Result:
    """What a task answers."""

    files: Mapping[str, Any]  # {file: content}, as `results.write` takes them
    originals: Sequence[Path] = ()  # what was read, and is not to be overwritten
    unreadable: Sequence[str] = ()  # a line for each input that was left out because it cannot be decoded


def apply(
    trained: Any, task: str, source: str, output: str, options: Mapping[str, Any]
) -> tuple[list[Path], Sequence[str]]:
    """Runs a task and writes its results into the folder `output`: (their paths, lines on what could not be decoded).

    Raises UserError before anything is written.
    """
    run = lookup.find("tasks", task, "run")
    folder = results.check_folder(output)
    result = run(trained, source, jax.random.key(trained.seed), **options)
    return results.write(result.files, folder, result.originals), result.unreadable


def read(trained: Any, source: str, resize: bool = False, track: int = -1, start_bar: int = 0) -> Examples:
    """The examples that the user gave; without a `source`, those of the run's own split, as evaluations see them."""
    if not source:
        return own(trained, trained.data.test, trained.context["split"])
    limit, built = trained.context.get("limit"), trained.experiment
    return userfiles.read_examples(source, built.spec, built.input_shape, resize, limit, track, start_bar)


def own(trained: Any, batches: Any, name: str, count: int | None = None) -> Examples:
    """Return `count` examples of `batches`, evenly spread, or all; corrupted as in training, under this name."""
    parts, spec = [], trained.experiment.spec
    for batch in batches if count is None else batches.spread(count)[0]:
        present = np.flatnonzero(np.asarray(batch["mask"]) > 0)
        parts.append({key: np.asarray(batch[key])[present] for key in ("inputs", "label") if key in batch})
    whole = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    form = Form(".npz", spec.levels - 1 if spec.kind == "pixels" else None)
    names = results.numbered(name, len(whole["inputs"]))
    return Examples(whole["inputs"], names, name, form, whole.get("label"))


def batch_of(examples: Examples) -> dict[str, np.ndarray]:
    """The examples as one batch, without "x": what the model is to explain is what the user does not have."""
    label = {} if examples.label is None else {"label": examples.label}
    return {"inputs": examples.inputs, "mask": np.ones(len(examples.inputs), np.float32), **label}


def compute(
    trained: Any, function: Callable, batch: Mapping[str, Any], key: Any, label: Sequence, batch_size: int
) -> np.ndarray:
    """`function(variables, batch, key)` -> [B, ...] over all N rows of a batch, `batch_size` rows at a time: [N, ...].

    label: as the user gave it, taken in turn in place of the batch's own.
    Raises UserError where the model reads a label that is not there, or would ignore the user's.
    """
    count = len(batch["mask"])
    batch, size = dict(batch), min(batch_size, count)
    own = batch.pop("label", None)
    model = trained.experiment.model
    if model.adds_inputs and "inputs" not in batch:
        raise UserError("this model's decoder adds its inputs, and a latent alone has none\ntry --task=reconstruct")
    if model.reads_label:
        given = np.asarray(label)[np.arange(count) % len(label)] if len(label) else own
        batch["label"] = _labels(trained.experiment.spec, given)
    elif len(label):
        raise UserError("this model reads no label\nleave it out")
    compiled, parts = jax.jit(function), []
    for number, start in enumerate(range(0, count, size)):
        # The last rows are repeated up to a whole batch, lest the model be compiled again.
        rows = np.minimum(np.arange(start, start + size), count - 1)
        part = {name: values[rows] for name, values in batch.items()}
        parts.append(np.asarray(compiled(trained.variables, part, jax.random.fold_in(key, number))))
    return np.concatenate(parts)[:count]


def _labels(spec: DataSpec, label: np.ndarray | None) -> np.ndarray:
    """Labels as the model reads them: classes int32 [N], or vectors float32 [N, L]. Raises UserError."""
    expected = f"expected {'an .npz whose label is' if spec.label_dim else '--label=CLASS, of'} {spec.labels}"
    if label is None:
        raise UserError(f"this model is conditional, and there are no labels\n{expected}")
    if label.ndim == 2:
        wide = label.shape[1] == spec.label_width and np.issubdtype(label.dtype, np.number)
        if not wide or not np.isfinite(label).all():
            raise UserError(f"labels [N, {label.shape[1]}] {label.dtype} are none that this model reads\n{expected}")
        return label.astype(np.float32)
    for each in label:
        if spec.label_dim or not str(each).isdecimal() or int(each) >= spec.classes:
            raise UserError(f"label {str(each)!r} is no class of this model\n{expected}")
    return label.astype(np.int32)


def codes_of(trained: Any, examples: Examples, key: Any, label: Sequence, batch_size: int) -> np.ndarray:
    """The codes [N, D] of examples."""
    return compute(trained, _code(trained), batch_of(examples), key, label, batch_size)


def _code(trained: Any) -> Callable:
    model = trained.experiment.model
    return lambda variables, batch, key: requirements.latent_code(model.apply(variables, batch, rngs={"latent": key}))


def dimension(trained: Any) -> int:
    """D, the length of a code."""
    batch = trained.experiment.shapes().batch
    return jax.eval_shape(_code(trained), trained.variables, batch, jax.random.key(0)).shape[-1]


def shift(trained: Any, attributes: Sequence[str], key: Any, label: Sequence, batch_size: int) -> np.ndarray:
    """[D]: what is added to a code for "NAME:AMOUNT", ..., amounts of the directions of `music.attributes` in the codes
    of examples of the training data. Raises UserError.
    """
    if trained.experiment.spec.kind != "events":
        raise UserError("--attribute is for melodies, and this model has others\nleave it out")
    amounts = [(name, _amount(name, text)) for name, _, text in (each.partition(":") for each in attributes)]
    functions = [lookup.function(melody_attributes, name, ("events",), "attribute") for name, _ in amounts]
    corpus = own(trained, trained.data.corpus, "train", _CORPUS)
    codes, grids = codes_of(trained, corpus, key, label, batch_size), corpus.inputs.astype(np.uint8)
    total = np.zeros(codes.shape[1:], codes.dtype)
    for (name, amount), function in zip(amounts, functions, strict=True):
        values = function(grids)
        if not np.ptp(values):
            raise UserError(
                f"--attribute={name} has no direction: it is {values[0]:g} in all melodies of the training data\n"
                "expected another attribute, or --data of which some have more"
            )
        total += amount * melody_attributes.direction(values, codes)
    return total


def _amount(name: str, text: str) -> float:
    try:
        amount = float(text)
    except ValueError:
        amount = math.nan
    if not math.isfinite(amount):
        raise UserError(f"--attribute={name}:{text} has no amount\nexpected such as --attribute=density:+1.5")
    return amount


def means_at(
    trained: Any, codes: np.ndarray, key: Any, label: Sequence, batch_size: int, own: np.ndarray | None = None
) -> np.ndarray:
    """What stands for the likelihood, [N, *shape], at codes [N, D]; `own`: the labels [N, ...] that came with them."""
    model, batch = trained.experiment.model, {"code": codes, "mask": np.ones(len(codes), np.float32)}
    batch |= {} if own is None else {"label": own}

    def mean(variables, batch, key):
        batch = dict(batch)
        return centre(model.apply(variables, (batch.pop("code")[None],), batch, method="decode"))[0]

    return compute(trained, mean, batch, key, label, batch_size)
