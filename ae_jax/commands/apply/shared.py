"""Run a task: read files, hand arrays to `ae_jax.experiments.using`, and write files."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ae_jax.commands.apply import results, userfiles
from ae_jax.commands.apply.results import Form
from ae_jax.commands.apply.userfiles import Examples, Wanted
from ae_jax.core import lookup
from ae_jax.core.errors import UserError
from ae_jax.data.formats import Reading
from ae_jax.data.sources import files
from ae_jax.experiments import batched
from ae_jax.experiments.analysis import Trained


@dataclasses.dataclass(frozen=True)
class Result:
    """The result of a task.

    Args:
      files: {file: content}, as `results.write` takes them.
      originals: the files that were read, and must not be overwritten.
      unreadable: a line for each input that was left out because it cannot be read.
    """

    files: Mapping[str, Any]
    originals: Sequence[Path] = ()
    unreadable: Sequence[str] = ()


def apply(
    trained: Trained, task: str, source: str, output: str, options: Mapping[str, Any]
) -> tuple[list[Path], Sequence[str]]:
    """Run a task, and write its results once nothing can be wrong any more.

    Args:
      trained: the opened run.
      task: the name of the task.
      source: the flag --input; "" where it was not given.
      output: the folder for the results.
      options: {keyword of the task: value}.

    Returns:
      The paths of the results, and a line for each input that could not be read.

    Raises:
      UserError: before anything is written.
    """
    run = lookup.find("tasks", task, "run")
    # The folder is checked first, because computing the results may take long.
    folder = results.check_folder(output)
    result = run(trained, source, jax.random.key(trained.seed), **options)
    return results.write(result.files, folder, result.originals), result.unreadable


def read(
    trained: Trained, source: str, resize: bool = False, track: int = -1, start_bar: int = 0, layout: str = ""
) -> Examples:
    """Read the user's examples, or without a `source` those of the run's own split.

    Args:
      trained: the opened run.
      source: a file or folder.
      resize: as for `userfiles.read_examples`.
      track: as for `userfiles.read_examples`.
      start_bar: as for `userfiles.read_examples`.
      layout: the axes of an array, as data.layout; by default those of the arrays that the run was trained on.
    """
    if not source:
        return _own(trained)
    built = trained.experiment
    wanted = Wanted(
        spec=built.spec,
        shape=built.input_shape,
        resize=resize,
        limit=trained.context.get("limit"),
        reading=reading_of(built.config.data, layout),
    )
    beats = built.config.data.get("beats") or ""
    return userfiles.read_examples(source, wanted, track, start_bar, beats)


def form_of(trained: Trained) -> Form:
    """Return how results that come from no file are written: arrays in the layout of the run's own."""
    return results.form_of(trained.spec, reading_of(trained.experiment.config.data).layout)


def reading_of(data: Any, layout: str = "") -> Reading:
    """Return how the files of a run are read, by its section `data`; with another layout where one is given."""
    keys = [field.name for field in dataclasses.fields(Reading) if data.source == "files"]
    given = {key: data[key] for key in keys if data.get(key) not in (None, "")}
    given["columns"] = tuple(given.get("columns", ()))
    if "size" in given:
        given["size"] = files.pair(given["size"])
    return Reading(**{**given, "layout": layout or given.get("layout", "")})


def _own(trained: Trained) -> Examples:
    """Return the examples of the split that is evaluated, corrupted as in training."""
    # The files are written in the levels of the stored data, so that they can be read as the data were.
    name, spec = trained.context["split"], trained.spec
    found = batched.gathered(trained.data.test)
    form = Form(".npz", spec.levels - 1 if "pixels" in (spec.kind, spec.unscaled) else None)
    names = results.numbered(name, len(found["inputs"]))
    inputs = batched.in_own_units(trained, found["inputs"])
    return Examples(inputs, names, name, form, batched.by_name(trained, found.get("label")))


def read_uncorrupted(
    trained: Trained, source: str, resize: bool = False, track: int = -1, start_bar: int = 0
) -> Examples:
    """Read examples as `read` does, but those of the own split without corruption."""
    if source:
        return read(trained, source, resize, track, start_bar)
    name, test = trained.context["split"], trained.data.test
    x = np.asarray(test.arrays["x"][: test.num_examples])
    label = test.arrays["label"][: len(x)] if "label" in test.arrays else None
    names = results.numbered(name, len(x))
    return Examples(batched.in_own_units(trained, x), names, name, Form(".npz"), batched.by_name(trained, label))


def label_column(trained: Trained, label: np.ndarray | None) -> dict[str, list[str]]:
    """Return the column "label" of a table.

    Args:
      trained: the opened run.
      label: classes [N], as in the user's file, or vectors [N, L]; None where there are none.

    Returns:
      {"label": texts [N]}, classes by name; {} without labels, or where they are vectors.
    """
    if label is None or label.ndim != 1:
        return {}
    return {"label": list(map(str, label.tolist()))}


def label_for(trained: Trained, flag: Sequence[str], own: np.ndarray | None = None) -> Any:
    """Return the labels of --label, or else those that came with the examples.

    Args:
      trained: the opened run.
      flag: the flag --label, empty where it was not given.
      own: the labels in the examples' file. A model that reads no labels ignores them.
    """
    if len(flag):
        return np.asarray(flag)
    return own if trained.model.reads_label else None


def amounts(attribute: Sequence[str]) -> list[tuple[str, float]]:
    """Return [(attribute, amount)] of --attribute=NAME:AMOUNT,..., or raise UserError."""
    return [(name, _amount(name, text)) for name, _, text in (each.partition(":") for each in attribute)]


def _amount(name: str, text: str) -> float:
    try:
        amount = float(text)
    except ValueError:
        amount = math.nan
    if not math.isfinite(amount):
        raise UserError(f"--attribute={name}:{text} has no amount\nexpected such as --attribute=density:+1.5")
    return amount
